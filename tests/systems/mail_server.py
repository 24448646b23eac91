"""A mail server for the tests: aiosmtpd with STARTTLS and a password. It runs in the environment of the counterparts.

Usage: python mail_server.py PORT MAILBOX AUTHORITY USER PASSWORD. It writes the certificate of its authority, and puts
e-mail into a Maildir. It has no time for recipients whose name begins with `busy`.
"""

import asyncio
import ssl
import sys
from typing import Any

import trustme
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult


class Inbox(Mailbox):
    """Puts e-mail into a Maildir, or says that it is closing."""

    async def handle_RCPT(  # noqa: N802  (the name is aiosmtpd's)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answers the command RCPT."""
        if address.startswith("busy"):
            return "421 4.3.2 Service not available, closing"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"


async def serve(port: int, mailbox: str, authority: str, user: str, password: str) -> None:
    """Serves until the process is ended."""
    issuer = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issuer.issue_cert("127.0.0.1").configure_cert(tls)
    issuer.cert_pem.write_to_path(authority)

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        is_right = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=is_right, handled=False)  # otherwise aiosmtpd sends no answer to a wrong password

    def open_session() -> SMTP:
        return SMTP(Inbox(mailbox), tls_context=tls, require_starttls=True, auth_required=True, authenticator=check)

    server = await asyncio.get_running_loop().create_server(open_session, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    number, *texts = sys.argv[1:]
    asyncio.run(serve(int(number), *texts))
