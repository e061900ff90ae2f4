"""Why a container cannot connect: the field case's whole investigation, live, in one command.

target      what is asked: a host and a port
hello       what a server says first, and what has to be said to it
probe       one connection attempt, and what came of it
inside      the same in the network namespace of a container, in a process of its own
rooted      files of a container, read so that it cannot show us another
dns         questions to a name server
names       how the host and how the container resolve a name
containers  the container that is meant, and its networks, as Docker tells
leaving     the way that a container's own routing table takes
kernel      the bridge and the switches of the host
policies    what dmsfw is configured to allow, and whether it stands in the kernel
ways        the packet's way through the tables, and the answer's way back
verdict     pure: what was found becomes a sentence, a remedy and an exit code
examine     the steps, in their order
"""
