"""Acknowledged work across kill -9, judged by the oracle of the tests."""
