use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let order = &event.payload["detail"];
    let total = order["total"].as_f64().ok_or("the order has no total")?;
    let risk = if total > 1000.0 { "high" } else { "low" };
    println!("order {}: {risk}", order["id"]);
    Ok(json!({ "risk": risk }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
