"""An agency's inbox: sealed deliveries, receipts of what is saved, acknowledgements."""
