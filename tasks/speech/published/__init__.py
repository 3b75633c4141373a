"""Readers of published archives of audio; they import neither torch nor Lightning."""

from tasks.speech.published import esc50, fsdd, speech_commands, urbansound8k

DATA_SETS = (esc50.DATA_SET, fsdd.DATA_SET, speech_commands.DATA_SET, urbansound8k.DATA_SET)
