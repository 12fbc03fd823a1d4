"""What a run shows to people: card, report, trace, and the way to the Hub. Reads files only."""
