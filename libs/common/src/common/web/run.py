"""Runs one service in its own process: reads settings, builds, starts, serves until told to stop, stops in order."""
