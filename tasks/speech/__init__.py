"""Speech: audio files in, words out. torchaudio is imported here alone, and only when it is needed."""
