"""What is optimized: backbone, head, loss, optimizer, schedule, score."""
