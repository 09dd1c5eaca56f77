//! rskafka. Answers commands on standard input; ../README.md describes them.
use base64::{engine::general_purpose::STANDARD, Engine};
use chrono::{TimeZone, Utc};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::{json, Value};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

type Reply = Result<Value, Box<dyn std::error::Error>>;

const BIG: i32 = 16 << 20; // enough for the 10 MiB messages

fn unpack(text: &Value) -> Option<Vec<u8>> {
    text.as_str().map(|t| STANDARD.decode(t).expect("base64"))
}

fn pack(data: &Option<Vec<u8>>) -> Value {
    data.as_ref().map_or(Value::Null, |d| json!(STANDARD.encode(d)))
}

fn text<'a>(command: &'a Value, name: &str) -> &'a str {
    command[name].as_str().unwrap_or("")
}

async fn partition(client: &Client, command: &Value, number: i64) -> Result<PartitionClient, Box<dyn std::error::Error>> {
    let handling = UnknownTopicHandling::Retry;
    Ok(client.partition_client(text(command, "topic"), number as i32, handling).await?)
}

async fn produce(client: &Client, c: &Value) -> Reply {
    let codec = match c["codec"].as_str().unwrap_or("none") {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    };
    let all = c["records"].as_array().ok_or("no records")?;
    let mut offsets = Vec::new();
    // One batch per partition, as rskafka wants it.
    let mut numbers: Vec<i64> = all.iter().map(|r| r["partition"].as_i64().unwrap_or(0)).collect();
    numbers.sort();
    numbers.dedup();
    for number in numbers {
        let mine = all.iter().filter(|r| r["partition"].as_i64().unwrap_or(0) == number);
        let records = mine
            .map(|r| Record {
                key: unpack(&r["key"]),
                value: unpack(&r["value"]),
                headers: r["headers"].as_array().into_iter().flatten()
                    .map(|h| (h[0].as_str().unwrap_or("").to_string(), unpack(&h[1]).unwrap_or_default()))
                    .collect(),
                timestamp: r["timestamp"].as_i64().map_or_else(Utc::now, |ms| Utc.timestamp_millis_opt(ms).unwrap()),
            })
            .collect();
        offsets.extend(partition(client, c, number).await?.produce(records, codec).await?);
    }
    Ok(json!({ "offsets": offsets }))
}

async fn consume(client: &Client, c: &Value) -> Reply {
    let number = c["partition"].as_i64().unwrap_or(0);
    let partition = partition(client, c, number).await?;
    let mut next = c["offset"].as_i64().unwrap_or(-2);
    if next < 0 {
        next = partition.get_offset(OffsetAt::Earliest).await?;
    }
    let count = c["count"].as_u64().unwrap_or(0) as usize;
    let end = Instant::now() + Duration::from_millis(c["timeout_ms"].as_u64().unwrap_or(0));
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < end {
        let (found, _) = partition.fetch_records(next, 1..BIG, 200).await?;
        for r in found {
            next = r.offset + 1;
            if records.len() < count {
                let headers: Vec<Value> = r.record.headers.iter().map(|(name, v)| json!([name, pack(&Some(v.clone()))])).collect();
                records.push(json!({ "partition": number, "offset": r.offset, "timestamp": r.record.timestamp.timestamp_millis(),
                    "key": pack(&r.record.key), "value": pack(&r.record.value), "headers": headers }));
            }
        }
    }
    Ok(json!({ "records": records }))
}

async fn offset_at(client: &Client, c: &Value) -> Reply {
    let at = match c["timestamp"].as_i64().unwrap_or(-1) {
        -1 => OffsetAt::Latest,
        -2 => OffsetAt::Earliest,
        ms => OffsetAt::Timestamp(Utc.timestamp_millis_opt(ms).unwrap()),
    };
    let partition = partition(client, c, c["partition"].as_i64().unwrap_or(0)).await?;
    Ok(json!({ "offset": partition.get_offset(at).await? }))
}

async fn create_topics(client: &Client, c: &Value) -> Reply {
    let controller = client.controller_client()?;
    for name in c["topics"].as_array().into_iter().flatten() {
        let partitions = c["partitions"].as_i64().unwrap_or(1) as i32;
        controller.create_topic(name.as_str().unwrap_or(""), partitions, 1, 60_000).await?;
    }
    Ok(json!({}))
}

async fn list_topics(client: &Client) -> Reply {
    let names: Vec<String> = client.list_topics().await?.into_iter().map(|t| t.name).collect();
    Ok(json!({ "topics": names }))
}

async fn answer(command: &Value) -> Reply {
    let client = ClientBuilder::new(vec![std::env::var("BOOTSTRAP")?]).build().await?;
    match text(command, "do") {
        "produce" => produce(&client, command).await,
        "consume" => consume(&client, command).await,
        "offset_at" => offset_at(&client, command).await,
        "create_topics" => create_topics(&client, command).await,
        "list_topics" => list_topics(&client).await,
        other => Err(format!("rskafka has no {other}").into()),
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        // rskafka retries for ever: the time limit turns that into an answer.
        let limit = Duration::from_secs(if text(&command, "do") == "create_topics" { 60 } else { 15 });
        let reply = runtime.block_on(async { tokio::time::timeout(limit, answer(&command)).await });
        let reply = match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(problem)) => json!({ "error": problem.to_string() }),
            Err(_) => json!({ "error": "gave up retrying" }),
        };
        println!("{reply}");
        std::io::stdout().flush().expect("standard output");
    }
}
