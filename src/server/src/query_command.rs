//! `firewatch promql`: looks at queries from the command line, alone or with the help of a server.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use base::{Clock as _, SystemClock};
use clap::{Arg, ArgAction, ArgMatches, Command};
use http::HeaderMap;
use model::{PromDuration, Timestamp};
use net::{ClientOptions, HttpClient, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use promql::{Engine, EngineOptions, EvaluationTimes, QueryContext, QueryRange};

use crate::features::Features;
use crate::verb;

/// The first argument that leads here.
pub(crate) const VERB: &str = "promql";

/// Longest wait for a server: queries have their own, shorter limit.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3600);

/// Most bytes of a server's answer that are read.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
enum PromqlError {
    #[error("{0}")]
    Query(promql::EngineError),
    #[error("--{name}: {text:?} is no time: seconds since the epoch are needed")]
    Time { name: &'static str, text: String },
    #[error("--step: {text:?} is no duration")]
    Step { text: String },
    #[error("--start, --end and --step belong together")]
    Range,
    #[error("--analyze needs the data of a server: --url")]
    NoServer,
    #[error("the operating system refuses resources")]
    Resources(#[source] std::io::Error),
    #[error("the server cannot be asked")]
    Request(#[source] net::HttpError),
    #[error("the server's answer cannot be read")]
    Answer(#[source] net::BodyError),
    #[error("the server refused: {0}")]
    Refused(String),
}

/// Runs the command with the arguments behind the verb.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    verb::main(command(), arguments, shown)
}

fn command() -> Command {
    let value = |name: &'static str, placeholder: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(placeholder).help(help)
    };
    let query = Arg::new("query")
        .value_name("QUERY")
        .required(true)
        .help("The query.");
    let features = value(
        "enable-feature",
        "NAMES",
        "Features that the query needs, as for the server.",
    )
    .action(ArgAction::Append);
    let explain = Command::new("explain")
        .about("Shows the plan of a query, before and after each rule of the optimiser.")
        .arg(value(
            "url",
            "URL",
            "Ask this server, such as http://localhost:9090.",
        ))
        .arg(value(
            "time",
            "SECONDS",
            "When the query is evaluated; now by default.",
        ))
        .arg(value("start", "SECONDS", "First step of a range query."))
        .arg(value("end", "SECONDS", "Last step of a range query."))
        .arg(value("step", "DURATION", "Distance of the steps."))
        .arg(
            Arg::new("analyze")
                .long("analyze")
                .action(ArgAction::SetTrue)
                .help("Run the query on the server and show what each part of it cost."),
        )
        .args([features.clone(), query.clone()]);
    let format = Command::new("format")
        .about("Prints a query over several lines, as the API's format_query does.")
        .args([features, query]);
    Command::new("firewatch promql")
        .about("Looks at PromQL queries.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands([explain, format])
}

fn shown(matches: &ArgMatches) -> Result<String, PromqlError> {
    match matches.subcommand() {
        Some(("format", matches)) => {
            let query = engine(matches).parse(text(matches, "query"));
            let query = query.map_err(PromqlError::Query)?;
            Ok(format!("{}\n", promql_syntax::prettify(query.expr())))
        }
        Some((_, matches)) => match matches.get_one::<String>("url") {
            Some(url) => ask(url, matches),
            None => explain(matches),
        },
        // clap has refused that already.
        None => Ok(String::new()),
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

fn engine(matches: &ArgMatches) -> Engine {
    let lists = matches.get_many::<String>("enable-feature");
    let lists: Vec<String> = lists.into_iter().flatten().cloned().collect();
    let mut options = EngineOptions::default();
    Features::parse(&lists).apply(&mut options);
    Engine::new(options)
}

/// The plan as this program would make it.
fn explain(matches: &ArgMatches) -> Result<String, PromqlError> {
    if matches.get_flag("analyze") {
        return Err(PromqlError::NoServer);
    }
    let engine = engine(matches);
    let times = times(matches)?;
    let trace = engine
        .parse(text(matches, "query"))
        .and_then(|query| engine.explain(&query, times, &QueryContext::default()))
        .map_err(PromqlError::Query)?;
    Ok(trace.map_or_else(|| "no steps\n".to_owned(), |trace| trace.to_string()))
}

fn times(matches: &ArgMatches) -> Result<EvaluationTimes, PromqlError> {
    let time = |name: &'static str| {
        let text = text(matches, name);
        let seconds = text.parse().ok().and_then(Timestamp::from_seconds);
        seconds.ok_or_else(|| PromqlError::Time {
            name,
            text: text.to_owned(),
        })
    };
    let given = ["start", "end", "step"].map(|name| matches.contains_id(name));
    match (given, matches.contains_id("time")) {
        ([false, false, false], false) => Ok(EvaluationTimes::Instant(SystemClock.now())),
        ([false, false, false], true) => time("time").map(EvaluationTimes::Instant),
        ([true, true, true], false) => {
            let text = text(matches, "step");
            let seconds = text.parse().ok().and_then(PromDuration::from_seconds);
            let step = seconds.or_else(|| PromDuration::parse(text).ok());
            let step = step.ok_or_else(|| PromqlError::Step {
                text: text.to_owned(),
            })?;
            let (start, end) = (time("start")?, time("end")?);
            Ok(EvaluationTimes::Range(QueryRange { start, end, step }))
        }
        _ => Err(PromqlError::Range),
    }
}

/// The plan as a server makes it.
fn ask(url: &str, matches: &ArgMatches) -> Result<String, PromqlError> {
    let mut address = format!(
        "{}/api/firewatch/v1/query/explain?format=text&analyze={}",
        url.trim_end_matches('/'),
        matches.get_flag("analyze")
    );
    for name in ["query", "time", "start", "end", "step"] {
        if matches.contains_id(name) {
            let value = utf8_percent_encode(text(matches, name), NON_ALPHANUMERIC);
            address.push_str(&format!("&{name}={value}"));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(PromqlError::Resources)?;
    let request = Request {
        url: &address,
        headers: &HeaderMap::new(),
        timeout: SERVER_TIMEOUT,
        body_limit_bytes: Some(MAX_ANSWER_BYTES),
    };
    let answer = runtime
        .block_on(HttpClient::new(ClientOptions::default()).get(request))
        .map_err(PromqlError::Request)?;
    let body = answer.body.decode(Some(MAX_ANSWER_BYTES));
    let body = String::from_utf8_lossy(&body.map_err(PromqlError::Answer)?).into_owned();
    match answer.status.is_success() {
        true => Ok(body),
        false => Err(PromqlError::Refused(refusal(&body, &answer.status_line))),
    }
}

/// What a server that refused has said.
fn refusal(body: &str, status: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(body).ok();
    let error = parsed.as_ref().and_then(|answer| answer["error"].as_str());
    error.unwrap_or(status).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str]) -> Result<String, String> {
        let arguments = std::iter::once(&VERB).chain(line);
        let matches = command()
            .try_get_matches_from(arguments)
            .map_err(|error| error.to_string())?;
        shown(&matches).map_err(|error| base::report(&error))
    }

    #[test]
    fn queries_are_formatted_and_explained() {
        assert_eq!(
            run(&["format", "sum(up)by(job)"]).as_deref(),
            Ok("sum by (job) (up)\n")
        );
        let range = [
            "explain",
            "--start=0",
            "--end=60",
            "--step=15",
            "up + (1 + 1)",
        ];
        let plan = run(&range).unwrap();
        assert!(plan.starts_with("steps: 5 from 0 every 15s\n"), "{plan}");
        assert!(plan.contains("after rule constant folding\n"), "{plan}");
        let feature = [
            "format",
            "--enable-feature=promql-experimental-functions",
            "start()",
        ];
        assert_eq!(run(&feature).as_deref(), Ok("start()\n"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, want) in [
            (&["format", "up("][..], "parse error"),
            (&["format", "start()"], "parse error"),
            (&["explain", "--time=soon", "up"], "\"soon\" is no time"),
            (&["explain", "--start=0", "up"], "belong together"),
            (
                &["explain", "--time=1", "--step=1", "up"],
                "belong together",
            ),
            (&["explain", "--analyze", "up"], "--url"),
            (&["explain"], "QUERY"),
            (&["print", "up"], "print"),
            (&["explain", "--url=nonsense", "up"], "cannot be asked"),
        ] {
            let error = run(line).unwrap_err();
            assert!(error.contains(want), "{line:?}: {error}");
        }
        assert_eq!(refusal(r#"{"error":"no"}"#, "500"), "no");
        assert_eq!(refusal("<html>", "502 Bad Gateway"), "502 Bad Gateway");
    }
}
