"""What is asserted, one folder per area. Every check judges one fact of facts/."""
