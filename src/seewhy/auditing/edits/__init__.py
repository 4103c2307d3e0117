"""What is put into photos and taken out of them."""
