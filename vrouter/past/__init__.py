"""What was: history, differences between states, and the way back."""
