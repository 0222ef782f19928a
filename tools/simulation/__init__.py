"""The simulation held against real runs, and stretched to where none can be made."""
