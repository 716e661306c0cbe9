"""scaffold"""

TLS = ("split(1,midsld)", "disorder", "fake(badsum)", "fake(ttl)")
HTTP = ("split(1,midsld)",)
QUIC = ("fake",)
