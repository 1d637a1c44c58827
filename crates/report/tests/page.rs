//! The HTML page: what its text is, and what a real browser makes of it.
//!
//! The tests with a browser want Debian's `chromium` and are run by `just test-page`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{fs, path::Path, process::Command};

use common::wide::Wide;
use report::to_html;
use serde_json::Value;

#[test]
fn a_page_of_thirty_kernels_and_twelve_scenarios_is_two_megabytes_at_most() {
    let page = to_html(&Wide::new(30, 12).cells()).unwrap();
    println!("30 × 12 cells: {} bytes", page.len());
    assert!(page.len() <= 2_000_000, "{} bytes", page.len());
    // It is all there: a page that drops what it should tell is small too.
    assert_eq!(page.matches("<section id=").count(), 360);
    assert!(page.matches("<svg").count() >= 720);
}

#[test]
fn the_page_asks_for_nothing_and_escapes_what_it_tells() {
    let page = to_html(&Wide::new(2, 2).cells()).unwrap();
    for word in [
        "http://", "https://", "src=", "url(", "@import", "<link", "fetch(",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    assert!(
        page.contains("&#60;says&#62;") || page.contains("&lt;says&gt;"),
        "the console is escaped"
    );
    assert!(!page.contains("<says>"));
}

#[test]
fn every_cell_leads_to_its_details() {
    let page = to_html(&Wide::new(3, 4).cells()).unwrap();
    for id in 0..12 {
        assert_eq!(page.matches(&format!("href=\"#c{id}\"")).count(), 1);
        assert_eq!(page.matches(&format!("id=\"c{id}\"")).count(), 1);
    }
    assert_eq!(page.matches("<a class=\"v passed\"").count(), 11);
    assert_eq!(page.matches("<a class=\"v failed\"").count(), 1);
}

/// What the page becomes in a browser that has no network, opened at `fragment` and used by `script`, which defines
/// `tell`: what to say of it.
fn browsed(page: &str, fragment: &str, script: &str, arguments: &[&str]) -> Value {
    let watch = "<script>window.faults = []; addEventListener('error', (event) => faults.push(String(event.message))); \
                 addEventListener('securitypolicyviolation', (event) => faults.push(event.violatedDirective));</script>";
    let report = format!(
        "<script>setTimeout(() => {{ {script} setTimeout(() => {{ const told = document.createElement('pre'); told.id = 'told'; \
         told.textContent = JSON.stringify({{ told: tell(), faults }}); document.body.append(told); }}, 50); }}, 50);</script>"
    );
    let page = page.replacen("<style>", &format!("{watch}<style>"), 1).replacen(
        "</body>",
        &format!("{report}</body>"),
        1,
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, page).unwrap();
    let dom = chromium(
        folder.path(),
        &format!("file://{}{fragment}", file.display()),
        arguments,
    );
    let (_, rest) = dom
        .split_once("<pre id=\"told\">")
        .unwrap_or_else(|| panic!("the script did not end: {dom}"));
    let text = rest
        .split("</pre>")
        .next()
        .unwrap()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["faults"], serde_json::json!([]), "the page made faults");
    told["told"].clone()
}

/// Runs Chromium in a network namespace of its own, in which there is no network; the document when it has settled.
fn chromium(folder: &Path, url: &str, arguments: &[&str]) -> String {
    let output = Command::new("unshare")
        .args([
            "--map-root-user",
            "--net",
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,800",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "Chromium could not run (it is Debian's package `chromium`: apt-get install chromium): {words}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TELL: &str = "window.tell = () => ({ \
    rows: [...document.querySelectorAll('#matrix tbody tr')].filter((row) => !row.hidden).map((row) => row.querySelector('th').textContent), \
    columns: [...document.querySelectorAll('#matrix thead th')].filter((head) => !head.hidden).length - 1, \
    open: [...document.querySelectorAll('section')].filter((one) => getComputedStyle(one).display !== 'none').map((one) => one.querySelector('h2').textContent), \
    verifier: [...document.querySelectorAll('section:target .verifier')].map((one) => one.textContent), \
    bars: [...document.querySelectorAll('section:target svg')].map((one) => one.getBoundingClientRect().width), \
    shown: document.getElementById('shown').value, \
    back: getComputedStyle(document.body).backgroundColor });";

#[test]
#[ignore = "needs Chromium: just test-page"]
fn in_a_browser_a_page_opens_with_all_rows_and_no_details() {
    let told = browsed(&to_html(&Wide::new(3, 4).cells()).unwrap(), "", TELL, &[]);
    assert_eq!(told["rows"].as_array().unwrap().len(), 4);
    assert_eq!(told["columns"], 3);
    assert_eq!(told["open"], serde_json::json!([]));
    assert_eq!(told["shown"], "4 of 4 rows");
}

#[test]
#[ignore = "needs Chromium: just test-page"]
fn in_a_browser_the_filter_hides_rows_and_columns() {
    let script = format!(
        "{TELL} const set = (id, value) => {{ const input = document.getElementById(id); input.value = value; \
         input.dispatchEvent(new Event('input')); }}; set('q', 'HTTPprobe latency-0'); set('kernel', '6.1');"
    );
    let told = browsed(&to_html(&Wide::new(3, 4).cells()).unwrap(), "", &script, &[]);
    assert_eq!(told["rows"], serde_json::json!(["http-latency-0"]));
    assert_eq!(told["columns"], 1);
    assert_eq!(told["shown"], "1 of 4 rows");
    // By verdict: only the first run fails, and not on this kernel.
    let script = script.replace("'HTTPprobe latency-0'", "''") + "set('verdict', 'failed');";
    let told = browsed(&to_html(&Wide::new(3, 4).cells()).unwrap(), "", &script, &[]);
    assert_eq!(told["rows"], serde_json::json!([]));
    let script = script.replace("'6.1'", "'6.0'");
    let told = browsed(&to_html(&Wide::new(3, 4).cells()).unwrap(), "", &script, &[]);
    assert_eq!(told["rows"], serde_json::json!(["http-latency-0"]));
}

#[test]
#[ignore = "needs Chromium: just test-page"]
fn in_a_browser_the_link_of_a_cell_opens_its_details() {
    // `every_cell_leads_to_its_details` tells that this is where the cell's link goes.
    let told = browsed(&to_html(&Wide::new(3, 4).cells()).unwrap(), "#c0", TELL, &[]);
    assert_eq!(told["open"], serde_json::json!(["http-latency-0 on 6.0 FAILED"]));
    let log = told["verifier"][0].as_str().unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    let bars = told["bars"].as_array().unwrap();
    assert!(
        bars.len() == 2 && bars.iter().all(|width| width.as_f64().unwrap() > 100.0),
        "{bars:?}"
    );
}

#[test]
#[ignore = "needs Chromium: just test-page"]
fn in_a_browser_the_page_is_light_or_dark_as_the_reader_wants() {
    let page = to_html(&Wide::new(1, 1).cells()).unwrap();
    let back = |scheme| {
        browsed(
            &page,
            "",
            TELL,
            &[&format!("--blink-settings=preferredColorScheme={scheme}")],
        )["back"]
            .clone()
    };
    assert_eq!(back(1), "rgb(255, 255, 255)");
    assert_eq!(back(0), "rgb(13, 17, 23)");
}
