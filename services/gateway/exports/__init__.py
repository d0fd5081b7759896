"""Exports of dataset versions in formats of other tools."""
