"""A telephone made of PJSIP: run by the interpreter that has ``pjsua2``, steered by lines of JSON on standard input.

``python pjsip_phone.py '{"port": 0, "log": "…", "says": "….wav", "heard": "….wav", …}'``. Every line it prints is one
event; ``tests/support/peers_pjsip.py`` is its other end.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
import time
from typing import Any

pj: Any = importlib.import_module("pjsua2")

METHODS = {"rfc4733": pj.PJSUA_DTMF_METHOD_RFC2833, "info": pj.PJSUA_DTMF_METHOD_SIP_INFO}
RELIABLE = {"no": pj.PJSUA_100REL_NOT_USED, "may": pj.PJSUA_100REL_OPTIONAL, "must": pj.PJSUA_100REL_MANDATORY}


# PJSIP writes to standard output before it has read its settings: the lines of JSON keep a descriptor of their own.
_EVENTS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def tell(event: str, **facts: object) -> None:
    _EVENTS.write(json.dumps({"event": event, "at": time.time(), **facts}) + "\n")


class PhoneCall(pj.Call):  # type: ignore[misc]
    """One call; its sound is joined to the phone's files as soon as there is any."""

    def __init__(self, phone: Phone, number: int) -> None:
        super().__init__(phone.account, number)
        self._phone = phone
        self.is_over = False

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        tell("state", state=info.stateText, code=info.lastStatusCode, reason=info.lastReason)
        self.is_over = info.state == pj.PJSIP_INV_STATE_DISCONNECTED

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status != pj.PJSUA_CALL_MEDIA_ACTIVE:
                continue
            sound = self.getAudioMedia(index)
            self._phone.player.startTransmit(sound)
            sound.startTransmit(self._phone.recorder)
            stream = self.getStreamInfo(index)
            tell("media", codec=stream.codecName, direction=int(stream.dir), remote=stream.remoteRtpAddress)
        if any(media.status == pj.PJSUA_CALL_MEDIA_LOCAL_HOLD for media in info.media):
            tell("held")

    def onDtmfDigit(self, prm: Any) -> None:
        tell("digit", digit=prm.digit, method=int(prm.method), ms=prm.duration)

    def figures(self) -> str:
        """What its RTCP session says of the call's sound. ``getStreamStat`` of this build ends the process."""
        text: str = self.dump(True, "")
        return text


class PhoneAccount(pj.Account):  # type: ignore[misc]
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onIncomingCall(self, prm: Any) -> None:
        call = PhoneCall(self._phone, prm.callId)
        self._phone.call = call
        message = prm.rdata.wholeMsg
        tell("incoming", message=message)
        answers = self._phone.order["answers"]
        user = message.partition(":")[2].partition("@")[0]
        now = time.monotonic()
        for delay, code in answers[user] if isinstance(answers, dict) else answers:
            self._phone.answers.append((now + delay, code, call))

    def onRegState(self, prm: Any) -> None:
        tell("registered", code=prm.code)


class Phone:
    """The endpoint and one account; orders are about its latest call."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.call: PhoneCall | None = None
        self.answers: list[tuple[float, int, PhoneCall]] = []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        settings = pj.EpConfig()
        settings.logConfig.level = 5
        settings.logConfig.consoleLevel = 0
        settings.logConfig.filename = order["log"]
        settings.uaConfig.threadCnt = 0
        settings.uaConfig.mainThreadOnly = True
        settings.medConfig.clockRate = 8000
        settings.medConfig.sndClockRate = 8000
        settings.medConfig.noVad = not order.get("silence_suppression", False)
        settings.medConfig.ecTailLen = 0
        self.endpoint.libInit(settings)
        transport = self._transport()
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        self._prefer(order["codecs"])
        self.player = pj.AudioMediaPlayer()
        self.player.createPlayer(order["says"])
        self.recorder = pj.AudioMediaRecorder()
        self.recorder.createRecorder(order["heard"])
        self.account = PhoneAccount(self)
        self.account.create(self._account(transport))
        tell("ready", address=self.endpoint.transportGetInfo(transport).localAddress)

    def _prefer(self, wanted: list[str]) -> None:
        """Speak these codecs alone, the favourite first, such as ``PCMU`` or ``iLBC/8000``."""
        for codec in self.endpoint.codecEnum2():
            places = [place for place, name in enumerate(wanted) if f"{codec.codecId}/".startswith(f"{name}/")]
            self.endpoint.codecSetPriority(codec.codecId, 255 - places[0] if places else 0)

    def _transport(self) -> int:
        kinds = {
            "udp": pj.PJSIP_TRANSPORT_UDP,
            "tcp": pj.PJSIP_TRANSPORT_TCP,
            "tls": pj.PJSIP_TRANSPORT_TLS,
        }
        settings = pj.TransportConfig()
        settings.port = self.order["port"]
        settings.boundAddress = "127.0.0.1"
        if self.order["transport"] == "tls":
            settings.tlsConfig.certFile = self.order["certificate"]
            settings.tlsConfig.privKeyFile = self.order["key"]
            settings.tlsConfig.method = pj.PJSIP_TLSV1_2_METHOD
            if authorities := self.order.get("wants_certificates_of"):
                settings.tlsConfig.CaListFile = authorities
                settings.tlsConfig.verifyClient = settings.tlsConfig.requireClientCert = True
        created: int = self.endpoint.transportCreate(kinds[self.order["transport"]], settings)
        return created

    def _account(self, transport: int) -> Any:
        account = pj.AccountConfig()
        account.idUri = self.order.get("id", "sip:phone@127.0.0.1")
        account.sipConfig.transportId = transport
        account.callConfig.prackUse = RELIABLE[self.order["reliable"]]
        account.callConfig.timerUse = {
            "no": pj.PJSUA_SIP_TIMER_INACTIVE,
            "may": pj.PJSUA_SIP_TIMER_OPTIONAL,
            "always": pj.PJSUA_SIP_TIMER_ALWAYS,
        }[self.order["timers"]]
        account.callConfig.timerMinSESec = 90
        account.callConfig.timerSessExpiresSec = self.order["session_s"]
        account.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        account.mediaConfig.transportConfig.port = self.order["rtp_port"]
        if registrar := self.order.get("registrar"):
            account.regConfig.registrarUri = registrar
            account.sipConfig.authCreds.append(
                pj.AuthCredInfo("digest", "*", self.order["user"], 0, self.order["password"])
            )
        return account

    def obey(self, order: dict[str, Any]) -> bool:
        """Do one thing; false ends the phone."""
        call, what = self.call, order["do"]
        if what == "quit":
            return False
        if what == "dial":
            self.call = PhoneCall(self, -1)
            self.call.makeCall(order["to"], pj.CallOpParam(True))
            return True
        assert call is not None, f"{what}: there is no call"
        if what == "hang up":
            call.hangup(pj.CallOpParam())
        elif what == "hold":
            call.setHold(pj.CallOpParam())
        elif what in ("resume", "reoffer", "update"):
            prm = pj.CallOpParam(True)
            prm.opt.audioCount, prm.opt.videoCount = 1, 0
            prm.opt.flag = pj.PJSUA_CALL_UNHOLD if what == "resume" else 0
            if codecs := order.get("codecs"):
                self._prefer(codecs)
            (call.update if what == "update" else call.reinvite)(prm)
        elif what == "digits":
            prm = pj.CallSendDtmfParam()
            prm.digits, prm.method, prm.duration = order["digits"], METHODS[order["by"]], order.get("ms", 160)
            call.sendDtmf(prm)
        elif what == "figures":
            tell("figures", text=call.figures())
        else:
            raise ValueError(f"nobody knows how to {what}")
        return True

    def _answer(self, call: PhoneCall, code: int) -> None:
        prm = pj.CallOpParam(True)
        prm.statusCode = code
        prm.opt.audioCount, prm.opt.videoCount = 1, 0
        call.answer(prm)

    def run(self) -> None:
        waiting = b""
        while True:
            self.endpoint.libHandleEvents(10)
            due = [answer for answer in self.answers if answer[0] <= time.monotonic()]
            self.answers = [answer for answer in self.answers if answer not in due]
            for _, code, call in due:
                if not call.is_over:
                    self._answer(call, code)
            if not select.select([0], [], [], 0)[0]:
                continue
            data = os.read(0, 65_536)
            if not data:
                return
            waiting += data
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                try:
                    if not self.obey(json.loads(line)):
                        return
                except pj.Error as problem:
                    tell("problem", text=problem.info())

    def close(self) -> None:
        # Python would take the objects apart in any order; PJSIP wants its own.
        self.call = None
        self.answers = []
        del self.player, self.recorder
        self.account.shutdown()
        self.endpoint.libDestroy()


def main() -> None:
    phone = Phone(json.loads(sys.argv[1]))
    phone.run()
    phone.close()
    tell("closed")
    os._exit(0)


if __name__ == "__main__":
    main()
