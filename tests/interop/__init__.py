"""Calls between the service and real programs: SIPp, baresip, Linphone, pyVoIP.

Every program runs as a child process on loopback, in the test's own folder, on ports chosen for the test;
`peers/` has one small wrapper per program, `scenarios/` the SIPp scripts. `README.md` tells what works with
which program, and how.
"""
