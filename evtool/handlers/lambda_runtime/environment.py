"""Builds the environment of a Lambda function: the variables of Lambda, without the secrets of evtool's environment."""

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from evtool.handlers.lambda_runtime.options import LambdaOptions
from evtool.handlers.lambda_runtime.runtimes import EXECUTION_ENVIRONMENTS, PASSED_ON
from evtool.handlers.processes.programs import expand_variables
from evtool.handlers.put_events import CREDENTIALS, DUMMY, REGION


def build_environment(name: str, options: LambdaOptions, folder: Path, address: str) -> dict[bytes, bytes]:
    """Builds the environment of a function. Raises UnsetVariableError for a `${NAME}` that is not set."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION
    variables = _pick(PASSED_ON)
    variables |= {
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{_name_runtime(options)}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(options.memory_size),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": time.strftime("%Y/%m/%d/[$LATEST]") + uuid.uuid4().hex,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(folder),
        "_HANDLER": options.handler or "bootstrap",
    }
    variables |= _list_credentials(options)
    # Only for EventBridge: with AWS_ENDPOINT_URL, calls to all other services would fail, too.
    if options.aws == "local":
        variables |= {
            "AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://{address}",
            "AWS_ENDPOINT_URL_EVENTBRIDGEV2": f"http://{address}",
        }
    for key, value in options.environment.items():
        variables[key] = expand_variables(value)
    # Last, since without the right address the function gets no events.
    variables["AWS_LAMBDA_RUNTIME_API"] = address
    return {os.fsencode(key): os.fsencode(value) for key, value in variables.items()}


def _name_runtime(options: LambdaOptions) -> str:
    runtime = options.runtime_name
    if runtime.version:
        return str(options.runtime)
    return EXECUTION_ENVIRONMENTS[runtime.family]


def _pick(names: Iterable[str]) -> dict[str, str]:
    """Returns those of the variables that evtool's own environment has."""
    return {name: os.environ[name] for name in names if name in os.environ}


def _list_credentials(options: LambdaOptions) -> Mapping[str, str]:
    """Returns dummies, or the credentials of evtool's own environment.

    With dummies and empty files, an SDK does not look for real credentials in other places.
    """
    if options.credentials == "inherit":
        return _pick(CREDENTIALS)
    return {
        "AWS_ACCESS_KEY_ID": DUMMY,
        "AWS_SECRET_ACCESS_KEY": DUMMY,
        "AWS_SESSION_TOKEN": DUMMY,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
    }
