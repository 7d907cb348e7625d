"""What keeps a long run alive: heartbeats, corruption, spikes, slow ranks, incidents."""
