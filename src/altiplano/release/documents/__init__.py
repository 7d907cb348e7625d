"""What a release is described by: card, bill of materials, data card, EU summary, each rendered from the evidence."""
