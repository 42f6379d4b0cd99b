"""What follows from a shop's rows: sums, quantities and webhook bodies."""
