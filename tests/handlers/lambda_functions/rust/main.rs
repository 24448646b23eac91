use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    match event.payload["do"].as_str() {
        Some("fail") => Err("no stock".into()),
        Some("panic") => panic!("boom"),
        Some("exit") => std::process::exit(0),
        _ => Ok(json!({ "total": event.payload["total"] })),
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
