"""What a run has found and changed, told: `report.json`, `report.html`, alerts, and its line in the ledger.

The last step: it adds up the results of all others and gives the range back.
"""
