"""A telephone application: one small web server that tells callwright what to do on each call.

callwright asks for a page at each step of a call and runs the actions in the answer. The page names below are what the
service is configured with: first page /first, final page /final, error page /error.
"""

import argparse
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
    """The recording is finished: say so; with no actions left the call is hung up."""
    result = info["action_result"]["result"]
    if not result["contains_sound"]:
        return [say("I could not hear you. Goodbye.")]
    print(f"recorded {result['seconds_duration']} s as {result['filename']}", flush=True)
    return [say(f"Thank you. Your message is {round(result['seconds_duration'])} seconds long. Goodbye.")]


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
    """Turns an HTTP request into a call of the page function, and its actions into the answer."""

    def do_POST(self):
        if self.path not in PAGES:
            return self.send_error(404, "No such page")
        try:
            info = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            body = json.dumps({"api_version": "2.0", "actions": PAGES[self.path](info)}).encode()
        except (ValueError, KeyError, TypeError) as problem:
            return self.send_error(400, f"Not an instance_info: {problem!r}")
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the terminal for what the pages print."""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8090, help="0 takes any free port (default 8090)")
    port = options.parse_args().port
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Application)
    except (OSError, OverflowError) as problem:
        sys.exit(f"cannot serve on port {port}: {problem}")
    print(f"http://127.0.0.1:{server.server_port}/first", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
