"""The interface held to its description by Schemathesis. Started by Tests/APITests/run."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as XML

import requests
import urllib3

arguments = argparse.ArgumentParser()
for option in ["room", "programs", "https"]:
    arguments.add_argument("--" + option, required=True)
given = arguments.parse_args()
site = f"https://{given.https}"
# The certificate is the appliance's own and names no loopback address. What the machine trusts otherwise would be asked all the same.
urllib3.disable_warnings()
for word in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"]:
    os.environ.pop(word, None)


def punnet(*words):
    """What `punnet` says to an administrator on the server, as JSON where it is."""
    run = subprocess.run(
        [f"{given.programs}/punnet", *words, "--socket", f"{given.room}/run/control.sock"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"punnet {words}: {run.stderr}"
    return json.loads(run.stdout) if "--json" in words else run.stdout


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def token():
    """A program's token that may change things, made in the panel as its first administrator makes one."""
    browser = requests.Session()
    browser.verify = False
    browser.headers["Sec-Fetch-Site"] = "same-origin"
    csrf = None

    def page(answer):
        nonlocal csrf
        assert answer.status_code < 400, f"{answer.url}: {answer.status_code} {answer.text[:400]}"
        csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text).group(1)
        return answer.text

    page(browser.get(f"{site}/first-start"))
    code = re.search(r"code\s+(\S+)", open(f"{given.room}/run/console").read()).group(1)
    password = "correct horse battery"
    page(browser.post(f"{site}/first-start", {"csrf": csrf, "code": code, "name": "Ada", "password": password, "again": password}))
    page(browser.get(f"{site}/settings"))
    shown = page(browser.post(f"{site}/panel/tokens/add", {"csrf": csrf, "name": "schemathesis", "scope": "change", "days": "1"}))
    return re.search(r'id="new-token" tabindex="0">([^<]+)<', shown).group(1)


def seat(name):
    """A seat that enrolled and has a session; gives the session's number."""
    word = punnet("seat", "add", name, "--lab", "room", "--json")["word"]
    own = requests.post(f"{site}/api/v1/seats/enrol", json={"word": word}, verify=False).json()["token"]
    claim = {"bootID": "11111111-2222-3333-4444-555555555555"}

    def claimed():
        return requests.post(f"{site}/api/v1/seat/claim", json=claim, headers={"Authorization": f"Bearer {own}"}, verify=False).json().get("session")

    return until("the seat has a desktop", claimed)


until("punnetd answers", lambda: subprocess.run(
    [f"{given.programs}/punnet", "status", "--socket", f"{given.room}/run/control.sock"], capture_output=True).returncode == 0)
bearer = token()
# The first start takes in the image that came with the server.
until("there is an image", lambda: punnet("image", "list", "--json"))
punnet("lab", "create", "room", "--image", "simulated-desktop", "--size", "3", "--memory", "1GiB")
session = seat("pi-1")
punnet("lab", "create", "other", "--image", "simulated-desktop", "--size", "0")
punnet("seat", "add", "pi-2", "--lab", "room")
operation = requests.post(
    f"{site}/api/v1/images", json={"folder": f"{given.room}/image"}, headers={"Authorization": f"Bearer {bearer}"}, verify=False).json()["id"]

report = f"{given.room}/junit.xml"
known = {"labs": ["room", "other"], "seats": ["pi-1", "pi-2"], "desktops": ["room-1", "room-2"], "sessions": [session], "operations": [operation],
         "images": ["simulated-desktop-1", "simulated-desktop"], "folders": [f"{given.room}/image"]}
checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance"]
run = subprocess.run(
    [sys.executable, "-m", "schemathesis.cli", "run", f"{site}/api/v1/openapi.json", "--tls-verify", "false", "--header", f"Authorization: Bearer {bearer}",
     "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1", "--generation-database", "none",
     "--request-timeout", "40", "--continue-on-failure", "--report", "junit", "--report-junit-path", report, "--no-color"],
    env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": f"{os.path.dirname(os.path.abspath(__file__))}:{os.environ['PYTHONPATH']}",
         "PUNNET_KNOWN": json.dumps(known)},
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
passed = failed = 0
for case in XML.parse(report).getroot().iter("testcase"):
    wrong = case.find("failure") is not None or case.find("error") is not None
    passed, failed = passed + (not wrong), failed + wrong
    print(("FAILED  " if wrong else "ok      ") + case.get("name"), flush=True)
if failed or run.returncode:
    print(run.stdout)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or run.returncode or not passed else 0)
