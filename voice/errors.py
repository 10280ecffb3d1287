"""The one error tree of Earshot.

EarshotError
├── ConfigurationError      the operator's configuration; exit code 2, one clear line
├── PeerError               a peer sent something wrong: their fault, a retry cannot help
│   ├── MessageError        a SIP message that cannot be understood; in `voice.sip.message`, has the status to answer
│   ├── SdpError            a session description that cannot be read (400)
│   ├── NotAcceptable       an offer without anything we can take (488)
│   └── RtpError            an RTP or RTCP packet that cannot be read (dropped and counted)
├── UnknownIncident         no incident (or more than one) has this name: the asker's fault (404)
├── UnknownSession          no session of check-ins has this name: the asker's fault (404)
├── InvalidRequest          what is asked for cannot be done as it is asked: the asker's fault (400)
├── LifecycleError          a change of state that the lifecycle table does not have (409)
├── InvalidDefinition       a contact, team, rota, plan, … that may not be kept as it is: the asker's fault
├── DefinitionConflict      a definition that somebody changed since, or that the configuration file holds (409)
├── StoreUnavailable        the database cannot commit now; the call goes on, the write is retried
│   └── StoreAway           it cannot be opened; a command ends with that, as with a configuration that cannot be used
├── Fenced                  another node has taken the incident up: this one stops acting on it
├── OutOfOrder              a write came before one that it builds on; it is retried behind it
├── RecordingFault          a disk that cannot take audio now; audio stays in memory, the write is retried
├── EmergencyNumberRefused  the interlock: an emergency number on a way that is not armed; a retry cannot help
├── PortsExhausted          no RTP port is free: 503, a retry can help
└── UsageError              our own code called something in the wrong order: a bug, never swallowed
"""


class EarshotError(Exception):
    """Base of every error that Earshot raises on purpose."""

    sip_status: int = 500
    retry_can_help: bool = False


class ConfigurationError(EarshotError):
    """The configuration cannot be used. The text names file, line, key and what is allowed."""


class PeerError(EarshotError):
    """A peer sent something that its specification forbids."""

    sip_status = 400


class SdpError(PeerError):
    """A session description that cannot be read (RFC 8866)."""


class NotAcceptable(PeerError):
    """An offer without anything that we can take (RFC 3261 section 21.4.26)."""

    sip_status = 488


class RtpError(PeerError):
    """An RTP or RTCP packet that cannot be read."""


class UnknownIncident(EarshotError):
    """No incident has this name, or a shortened name fits several."""

    sip_status = 404


class UnknownSession(EarshotError):
    """No session of check-ins has this name."""

    sip_status = 404


class InvalidRequest(EarshotError):
    """What is asked for cannot be done as it is asked. The text says what is allowed."""

    sip_status = 400


class LifecycleError(EarshotError):
    """The incident is not in a state from which this change is allowed; often somebody else was quicker."""

    sip_status = 409


class InvalidDefinition(EarshotError):
    """A definition cannot be kept. The text names keys and what is allowed, one mistake a line."""

    sip_status = 400


class DefinitionConflict(EarshotError):
    """A definition is not what the asker believed: somebody else was quicker, or it belongs to the file."""

    sip_status = 409


class StoreUnavailable(EarshotError):
    """The store cannot commit now; nothing was written."""

    sip_status = 503
    retry_can_help = True


class StoreAway(StoreUnavailable, ConfigurationError):
    """The store cannot be opened: it is not there, or what stands in `store.url` is wrong. Who can wait tries again."""


class Fenced(EarshotError):
    """Another node has taken the incident up since; nothing was written, and nothing may be done for it here."""

    sip_status = 409


class OutOfOrder(EarshotError):
    """The write builds on one that is not in the store yet; nothing was written."""

    retry_can_help = True


class RecordingFault(EarshotError):
    """The disk under the recordings cannot take audio now."""

    retry_can_help = True


class EmergencyNumberRefused(EarshotError):
    """A call to emergency services on a way out that is not armed for it. Nothing was sent."""

    sip_status = 403


class PortsExhausted(EarshotError):
    """Every RTP port of the configured range is in use."""

    sip_status = 503
    retry_can_help = True


class UsageError(EarshotError):
    """Our own code called something in a state that does not allow it."""
