"""The server that runs the command openstack for the scripts of this node: see serve, and the tree's README.md.

caller.py   what a calling process is like, as the kernel tells it, and what makes it unlike an ordinary one
preload.py  loads the installed client once, and keeps an eye on what that loading depended on
worker.py   in the forked process: becomes the caller, and runs the command
server.py   listens, forks, ends what has nobody left to answer to
"""
