"""Tests of the speech tasks."""
