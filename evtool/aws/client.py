"""Opens boto3's clients of AWS, and turns what goes wrong before a response into messages with advice."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from evtool.errors import UsageError

INSTALL = "pip install 'evtool-workbench[aws]'"
# An endpoint that is not AWS has no region, but botocore needs one.
LOCAL_REGION = "us-east-1"
# The number of requests that botocore makes if there is no response, or a throttling code.
ATTEMPTS = 5
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60  # seconds
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_REFUSED = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "AuthFailure"}
_REFUSED |= {"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"}
_REFUSED |= {"MissingAuthenticationToken", "MissingAuthenticationTokenException"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_CREDENTIALS_ADVICE = (
    "run `aws sso login` or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    "a local endpoint takes any values"
)


class AwsSettings(NamedTuple):
    """The destination and the identity of requests; None means the environment and AWS's configuration decide."""

    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    client: Mapping[str, str] = {}  # further settings of botocore's Config


def open_client(service: str, settings: AwsSettings) -> Any:
    """Returns the client of a service. Connects to nothing. Raises UsageError."""
    try:
        import boto3  # noqa: PLC0415  (an extra, and slow to import)
        from botocore.config import Config  # noqa: PLC0415
    except ImportError:
        raise UsageError(f"AWS needs the package boto3: {INSTALL}") from None
    with explain_errors(service):
        session = boto3.session.Session(profile_name=settings.profile)
        region = settings.region or session.region_name
        if not region and settings.endpoint:
            region = LOCAL_REGION
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        }
        for name, text in settings.client.items():
            options[name] = text
            # botocore wants numbers as numbers, and a URL has texts only.
            if text.isdecimal():
                options[name] = int(text)
        try:
            return session.client(service, region_name=region, endpoint_url=settings.endpoint, config=Config(**options))
        except (TypeError, ValueError) as error:
            raise UsageError(f"the settings of AWS's client cannot be used: {error}") from None


@contextmanager
def explain_errors(name: str) -> Iterator[None]:
    """Raises UsageError with advice where botocore raises for credentials, the region or the connection.

    A response with another error passes as botocore's ClientError. `name` begins the message.
    """
    from botocore import exceptions  # noqa: PLC0415  (an extra, and slow to import)

    try:
        yield
    except exceptions.ClientError as error:
        advice = _find_advice(get_code(error))
        if advice:
            raise UsageError(f"{name}: AWS refuses the credentials ({describe(error)}): {advice}") from None
        raise
    except exceptions.NoRegionError:
        raise UsageError(f"{name}: no region is configured: add ?region=REGION to the URL, or set AWS_REGION") from None
    except exceptions.HTTPClientError as error:
        raise UsageError(f"{name}: {_one_line(error)}; check the endpoint and the network") from None
    except exceptions.BotoCoreError as error:
        raise UsageError(f"{name}: {_one_line(error)}{_advise_on(error)}") from None


def get_code(error: Any) -> str:
    """Returns the code of an error response, such as `ResourceNotFoundException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def describe(error: Any) -> str:
    """Returns an error response in one line: the code and the message."""
    message = str(error.response.get("Error", {}).get("Message", "")).strip()
    if message:
        return " ".join(f"{get_code(error)}: {message}".split())
    return get_code(error)


def _find_advice(code: str) -> str | None:
    if code in _EXPIRED:
        return f"they have expired; {_CREDENTIALS_ADVICE}"
    if code in _REFUSED:
        return _CREDENTIALS_ADVICE
    if code in _DENIED:
        return "their policy does not allow this call"
    return None


def _advise_on(error: Exception) -> str:
    """Returns advice for an error about credentials."""
    name = type(error).__name__
    is_about_credentials = any(word in name for word in ("Credential", "Token", "Profile", "SSO", "Login"))
    if is_about_credentials:
        return f": {_CREDENTIALS_ADVICE}"
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
