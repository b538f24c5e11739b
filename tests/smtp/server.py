#!/usr/bin/env python3
"""A real SMTP server to try the mailer against by hand: aiosmtpd, from PyPI.

It takes every mail, or refuses some as the options say, and writes one line of
JSON for each command that matters, to standard output or to --record.

    pip install aiosmtpd trustme
    tests/smtp/server.py --port 2525 --starttls --user shop:s3cret \
        --ca /tmp/ca.pem --every-third-later --refuse bob@example.org

    SSL_CERT_FILE=/tmp/ca.pem SMTP_URL=smtp://shop:s3cret@localhost:2525 ...
"""

import argparse
import asyncio
import contextlib
import email
import email.policy
import json
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Server:
    def __init__(self, options):
        self.options = options
        self.mails = 0
        self.sessions = {}
        self.out = open(options.record, "a") if options.record else sys.stdout

    def record(self, session, **what):
        number = self.sessions.setdefault(session.peer, len(self.sessions) + 1)
        print(json.dumps({"connection": number, **what}), file=self.out, flush=True)

    def authenticate(self, server, session, envelope, mechanism, data):
        user, _, password = (self.options.user or ":").partition(":")
        given = isinstance(data, LoginPassword) and (data.login, data.password)
        good = given == (user.encode(), password.encode())
        self.record(session, auth=mechanism, accepted=good)
        return AuthResult(success=good, handled=False)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.record(session, ehlo=hostname, tls=session.ssl is not None)
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.options.refuse:
            self.record(session, refused=address)
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        self.mails += 1
        later = self.options.every_third_later and self.mails % 3 == 0
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        self.record(
            session,
            mail=self.mails,
            taken=not later,
            tls=session.ssl is not None,
            envelope_from=envelope.mail_from,
            envelope_to=envelope.rcpt_tos,
            headers=dict(mail.items()),
            text=text and text.get_content(),
            html=html and html.get_content(),
            attachments={
                part.get_filename(): part.get_content_type()
                for part in mail.iter_attachments()
            },
        )
        return "451 4.3.0 try later" if later else "250 2.0.0 taken"

    async def handle_QUIT(self, server, session, envelope):
        self.record(session, quit=True)
        return "221 2.0.0 bye"


def tls(options):
    """A certificate for localhost; --ca is where the authority that signed it goes."""
    import trustme

    authority = trustme.CA()
    if options.ca:
        authority.cert_pem.write_to_path(options.ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def main(options):
    server = Server(options)
    wanted = options.starttls or options.smtps
    context = tls(options) if wanted else None

    def protocol():
        return SMTP(
            server,
            hostname="test.example",
            data_size_limit=16 << 20,
            enable_SMTPUTF8=False,
            tls_context=context if options.starttls else None,
            require_starttls=options.starttls,
            authenticator=server.authenticate,
            auth_required=bool(options.user),
            # aiosmtpd takes TLS from the first byte for none.
            auth_require_tls=options.starttls,
            timeout=options.idle,
        )

    loop = asyncio.get_running_loop()
    wrapped = context if options.smtps else None
    listener = await loop.create_server(protocol, "127.0.0.1", options.port, ssl=wrapped)
    print(f"listening on {options.port}", file=sys.stderr, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    listener.close()


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--starttls", action="store_true", help="offer and require STARTTLS")
    parser.add_argument("--smtps", action="store_true", help="TLS from the first byte")
    parser.add_argument("--ca", help="write the authority's certificate there")
    parser.add_argument("--user", metavar="USER:PASSWORD", help="require these credentials")
    parser.add_argument("--refuse", action="append", default=[], metavar="ADDRESS", help="550 for it")
    parser.add_argument("--every-third-later", action="store_true", help="451 for every third mail")
    parser.add_argument("--idle", type=float, default=300, help="seconds until an idle connection is closed")
    parser.add_argument("--record", metavar="FILE", help="append JSON lines there")
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(options()))
