"""What an operator sees: facts become rows, rows become text or JSON."""
