"""Where a person logs in: a page on loopback, a pasted address, or a code for another device.

Rules of this wing: it only talks. What is asked for and believed is decided in `connector.signin`; whatever
ends a dialog early leaves the login there was as it is.
"""
