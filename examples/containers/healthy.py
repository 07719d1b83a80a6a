"""Exits with 0 if /healthz of the worker in this container reports that it is alive."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", 9188, timeout=4)
connection.request("GET", "/healthz")
sys.exit(connection.getresponse().status != http.HTTPStatus.OK)
