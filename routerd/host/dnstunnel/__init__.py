"""What iodined's protocol, 00000502, is made of: how it is written, asked, logged in to, and carries packets."""
