"""Where the time goes: ledger, goodput, the peak, the machine."""
