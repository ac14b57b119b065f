"""Fetching an image from an address that a client names: off, unless the door's `fetch_hosts` name hosts.

    allow_list.py    which hosts may be asked, as the settings say it
    web_address.py   the address of an image, read strictly
    addresses.py     which IP addresses a host may have
    pinned.py        a connection to an address that was checked, whatever the name means by then
    fetcher.py       one image: redirects, limits of bytes, time and number

Below all faces: it knows none of them, nor forms, nor how errors are answered. Its errors are the core's.
"""
