//! The structure of prometheus.yml, key by key, as it is written.

use model::PromDuration;
use model::quote::quoted;

use crate::options::{EscapingScheme, NameValidation, ScrapeProtocol};
use crate::size::parse_size;
use crate::yaml::{FromScalar, Pairs, Scalar, yaml_struct};

yaml_struct! {
    /// The whole file.
    RawConfig as "config.plain" {
        global: RawGlobal,
        scrape_configs: Vec<Option<RawScrapeConfig>>,
        storage: RawStorage,
    }
    unsupported {
        alerting, rule_files, scrape_config_files, tracing, remote_write, remote_read, otlp,
    }
    without_effect { runtime }
}

yaml_struct! {
    /// `global`.
    RawGlobal as "config.plain" {
        scrape_interval: Scalar<PromDuration>,
        scrape_timeout: Scalar<PromDuration>,
        scrape_protocols: Vec<Scalar<ScrapeProtocol>>,
        evaluation_interval: Scalar<PromDuration>,
        rule_query_offset: Scalar<PromDuration>,
        external_labels: Pairs<String>,
        body_size_limit: Scalar<Size>,
        sample_limit: Scalar<u64>,
        target_limit: Scalar<u64>,
        label_limit: Scalar<u64>,
        label_name_length_limit: Scalar<u64>,
        label_value_length_limit: Scalar<u64>,
        keep_dropped_targets: Scalar<u64>,
        metric_name_validation_scheme: Scalar<NameValidation>,
        metric_name_escaping_scheme: Scalar<EscapingScheme>,
        extra_scrape_metrics: Scalar<bool>,
        query_log_file: String,
    }
    unsupported {
        scrape_failure_log_file, scrape_native_histograms,
        convert_classic_histograms_to_nhcb,
    }
    without_effect { always_scrape_classic_histograms }
}

yaml_struct! {
    /// An entry of `scrape_configs`.
    RawScrapeConfig as "config.plain" {
        job_name: String,
        scrape_interval: Scalar<PromDuration>,
        scrape_timeout: Scalar<PromDuration>,
        scrape_protocols: Vec<Scalar<ScrapeProtocol>>,
        fallback_scrape_protocol: Scalar<ScrapeProtocol>,
        metrics_path: String,
        scheme: String,
        params: Pairs<Vec<String>>,
        honor_labels: Scalar<bool>,
        honor_timestamps: Scalar<bool>,
        track_timestamps_staleness: Scalar<bool>,
        enable_compression: Scalar<bool>,
        follow_redirects: Scalar<bool>,
        body_size_limit: Scalar<Size>,
        sample_limit: Scalar<u64>,
        target_limit: Scalar<u64>,
        label_limit: Scalar<u64>,
        label_name_length_limit: Scalar<u64>,
        label_value_length_limit: Scalar<u64>,
        keep_dropped_targets: Scalar<u64>,
        metric_name_validation_scheme: Scalar<NameValidation>,
        metric_name_escaping_scheme: Scalar<EscapingScheme>,
        extra_scrape_metrics: Scalar<bool>,
        static_configs: Vec<Option<RawStaticConfig>>,
    }
    unsupported {
        relabel_configs, metric_relabel_configs, scrape_failure_log_file,
        scrape_native_histograms, convert_classic_histograms_to_nhcb,
        basic_auth, authorization, oauth2, bearer_token, bearer_token_file, tls_config, http_headers,
        proxy_url, no_proxy, proxy_from_environment, proxy_connect_header,
        aws_sd_configs, azure_sd_configs, consul_sd_configs, digitalocean_sd_configs,
        dns_sd_configs, docker_sd_configs, dockerswarm_sd_configs, ec2_sd_configs, ecs_sd_configs,
        elasticache_sd_configs, eureka_sd_configs, file_sd_configs, gce_sd_configs,
        hetzner_sd_configs, http_sd_configs, ionos_sd_configs, kubernetes_sd_configs,
        kuma_sd_configs, lightsail_sd_configs, linode_sd_configs, marathon_sd_configs,
        msk_sd_configs, nerve_sd_configs, nomad_sd_configs, oci_sd_configs, openstack_sd_configs,
        outscale_sd_configs, ovhcloud_sd_configs, puppetdb_sd_configs, rds_sd_configs,
        scaleway_sd_configs, serverset_sd_configs, stackit_sd_configs, triton_sd_configs,
        uyuni_sd_configs, vultr_sd_configs, xds_sd_configs,
    }
    without_effect {
        enable_http2, always_scrape_classic_histograms, native_histogram_bucket_limit,
        native_histogram_min_bucket_factor,
    }
}

yaml_struct! {
    /// An entry of `static_configs`.
    RawStaticConfig as r#"struct { Targets []string "yaml:\"targets\""; Labels model.LabelSet "yaml:\"labels\"" }"# {
        targets: Vec<String>,
        labels: Pairs<String>,
    }
}

yaml_struct! {
    /// `storage`.
    RawStorage as "config.plain" {
        tsdb: RawTsdb,
        exemplars: RawExemplars,
    }
}

yaml_struct! {
    /// `storage.exemplars`.
    RawExemplars as "config.plain" {
        max_exemplars: Scalar<MaxExemplars>,
    }
}

yaml_struct! {
    /// `storage.tsdb`.
    RawTsdb as "config.plain" {
        out_of_order_time_window: Scalar<PromDuration>,
        retention: RawRetention,
    }
    unsupported { stale_series_compaction_threshold, chunk_encoding }
}

yaml_struct! {
    /// `storage.tsdb.retention`.
    RawRetention as "config.plain" {
        time: Scalar<PromDuration>,
        size: Scalar<Size>,
        percentage: Scalar<Percentage>,
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

/// How many exemplars are kept; a negative number means none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxExemplars(pub(crate) u64);

impl FromScalar for MaxExemplars {
    const EXPECTED: &'static str = "a whole number";

    fn from_scalar(text: &str) -> Result<Self, String> {
        let is_negative = text.starts_with('-');
        let number = u64::from_scalar(text.strip_prefix('-').unwrap_or(text));
        number
            .map(|number| Self(if is_negative { 0 } else { number }))
            .map_err(|_| format!("cannot unmarshal `{text}` into int64"))
    }
}

impl FromScalar for Size {
    const EXPECTED: &'static str = "a size";

    fn from_scalar(text: &str) -> Result<Self, String> {
        parse_size(text).map(Self)
    }
}

/// A part of a hundred, in hundredths: 0 to 10 000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Percentage(pub(crate) u16);

impl FromScalar for Percentage {
    const EXPECTED: &'static str = "a percentage";

    fn from_scalar(text: &str) -> Result<Self, String> {
        let percent: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!(
                "storage.tsdb.retention.percentage must be between 0 and 100, not {text}"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        Ok(Self((percent * 100.0).round() as u16))
    }
}

impl FromScalar for PromDuration {
    const EXPECTED: &'static str = "a duration";

    fn from_scalar(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl FromScalar for ScrapeProtocol {
    const EXPECTED: &'static str = "a scrape protocol";

    fn from_scalar(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(" ");
                format!("unknown scrape protocol {text}, supported: [{names}]")
            })
    }
}

impl FromScalar for NameValidation {
    const EXPECTED: &'static str = "utf8 or legacy";

    fn from_scalar(text: &str) -> Result<Self, String> {
        match text {
            "" | "utf8" => Ok(Self::Utf8),
            "legacy" => Ok(Self::Legacy),
            _ => Err(format!("unrecognized ValidationScheme: {}", quoted(text))),
        }
    }
}

impl FromScalar for EscapingScheme {
    const EXPECTED: &'static str = "an escaping scheme";

    fn from_scalar(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == text)
            .ok_or_else(|| format!("unknown escaping scheme: {text}"))
    }
}
