"""A telephone application: one small web server that tells callwright what to do on each call.

callwright asks for a page at each step of a call and runs the actions in the answer. The page names below are what the
service is configured with: first page /first, final page /final, error page /error.
"""

import argparse
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def say(text):
    return {"play": {"play_list": [{"text_to_say": text}]}}


def first(info):
    """The call was answered: greet, then offer a menu."""
    options = [{"digit": "1", "next_page": {"url": "message"}}, {"digit": "2", "next_page": {"url": "clock"}}]
    prompt = say("To leave a message, press 1. To hear the time, press 2.")
    return [say("Hello, and welcome to callwright."), {"run_menu": {"prompt": prompt, "menu_options": options}}]


def message(info):
    """1 was pressed: record what the person says, until three seconds of silence or the hash key."""
    record = {"next_page": {"url": "thanks"}, "beep_on_start": True, "seconds_max_duration": 30}
    return [say("Please speak after the tone."), {"record": record}]


def thanks(info):
    """The recording is finished: say how long it is; with no actions left the call is hung up."""
    result = info["action_result"]["result"]
    print(f"recorded {result['seconds_duration']} s as {result['filename']}", flush=True)
    return [say(f"Thank you. Your message of {round(result['seconds_duration'])} seconds is safe. Goodbye.")]


def clock(info):
    """2 was pressed."""
    return [say(time.strftime("It is %H:%M. Goodbye."))]


def final(info):
    """The call is over, however it went; nothing can be played any more."""
    call = info["this_call"]
    print(f"call to {call['call_to']}: {call['call_cause']} after {call['seconds_call_duration']} s", flush=True)
    return []


def error(info):
    """Something went wrong; callwright hangs up by itself, this page is only told."""
    print(f"error: {info['error_result']['result']}", file=sys.stderr, flush=True)
    return []


PAGES = {"/first": first, "/message": message, "/thanks": thanks, "/clock": clock, "/final": final, "/error": error}


class Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def do_GET(self):
        self.answer(parse_qs(urlsplit(self.path).query).get("instance_info", [""])[0])

    def answer(self, instance_info):
        page = PAGES.get(urlsplit(self.path).path)
        if page is None:
            return self.send_error(404, "No such page")
        try:
            info = json.loads(instance_info)
            body = json.dumps({"api_version": "2.0", "actions": page(info)}).encode()
        except (ValueError, KeyError, TypeError) as problem:
            return self.send_error(400, f"Not an instance_info: {problem!r}")
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the terminal for what the pages print."""


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8090, help="0 takes any free port (default 8090)")
    with ThreadingHTTPServer(("127.0.0.1", options.parse_args().port), Application) as server:
        print(f"http://127.0.0.1:{server.server_port}/first", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")
