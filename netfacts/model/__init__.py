"""What everything else speaks of: facts, labs, verdicts, records and errors. Pure data, no input or output."""
