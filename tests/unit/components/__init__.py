"""Tests of the program against recording mocks."""
