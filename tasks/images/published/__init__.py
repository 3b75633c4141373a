"""Readers of published image archives; none imports Lightning."""
