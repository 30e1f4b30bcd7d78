"""From a method's name and a folder of photos to a config that can be trained.

A published config says what its authors did with their data on their machines. What of it depends
on data and machine is decided here, one decision a function, each told with its reason. In the
order of reading: ``request`` (what is asked for), ``catalogue`` (what is shipped), ``resolver``
(all decisions in order).
"""
