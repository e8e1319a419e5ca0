//! Programs of others at both ends: curl and wrk as clients, nginx as origin.
//!
//! Where one of them is not installed its tests say so and pass, unless `WEIR_TEST_PEERS=required`.

use crate::support::{LANES, Nginx, Weir, ingress, installed};
use std::process::Command;

/// nginx with some files, an echo, and a place to put others.
fn nginx() -> Nginx {
    Nginx::start(|root, address| {
        std::fs::create_dir(root.join("www")).unwrap();
        let text: String =
            (0..2000).map(|n| format!("line {n} of a text that can be compressed\n")).collect();
        std::fs::write(root.join("www/text.txt"), &text).unwrap();
        std::fs::write(root.join("www/1k"), vec![b'x'; 1024]).unwrap();
        let bytes: Vec<u8> = (0..5 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(root.join("www/5m"), bytes).unwrap();
        format!(
            "access_log off; gzip on; gzip_types *; gzip_proxied any; gzip_http_version 1.1;\n\
             server {{ listen {address}; root {root}/www;\n\
             location /put/ {{ dav_methods PUT DELETE; create_full_put_path on; }}\n\
             location /echo {{ return 200 \"$request_method $request_uri $http_x_forwarded_for\\n\"; }} }}",
            root = root.display(),
        )
    })
}

fn file(nginx: &Nginx, name: &str) -> Vec<u8> {
    std::fs::read(nginx.root().join("www").join(name)).unwrap()
}

fn curl(weir: &Weir, path: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(arguments)
        .arg(format!("http://{}{path}", weir.http))
        .output()
        .unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn curl_gets_from_nginx_what_nginx_has() {
    if !installed(&["nginx", "curl"]) {
        return;
    }
    let nginx = nginx();
    let upload = nginx.root().join("upload");
    let large = file(&nginx, "5m");
    std::fs::write(&upload, &large).unwrap();
    let upload = format!("{}", upload.display());
    for lane in LANES {
        let weir = lane.start(&ingress("web", "", nginx.address, &[("proxy-body-size", "10m")]), &[]);
        let text = |path: &str, arguments: &[&str]| {
            String::from_utf8_lossy(&curl(&weir, path, arguments)).into_owned()
        };
        assert_eq!(text("/echo?a=%20b", &[]), "GET /echo?a=%20b 127.0.0.1\n");
        assert_eq!(text("/echo", &["--data", "x=y"]), "POST /echo 127.0.0.1\n");
        assert_eq!(curl(&weir, "/text.txt", &[]), file(&nginx, "text.txt"));
        assert_eq!(curl(&weir, "/5m", &[]), large, "{lane:?}");
        assert_eq!(curl(&weir, "/5m", &["--http1.0"]), large, "{lane:?}");
        assert_eq!(
            curl(&weir, "/5m", &["--range", "1000000-1999999"]),
            large[1_000_000..2_000_000],
            "{lane:?}"
        );
        let head = text("/5m", &["--head"]).to_lowercase();
        assert!(head.contains("content-length: 5242880"), "{head}");
        // nginx compresses as it goes: in chunks.
        let zipped = curl(&weir, "/text.txt", &["--header", "Accept-Encoding: gzip"]);
        assert!(zipped.len() < file(&nginx, "text.txt").len() / 2);
        assert_eq!(curl(&weir, "/text.txt", &["--compressed"]), file(&nginx, "text.txt"));
        for (n, arguments) in [
            &["--upload-file", upload.as_str()][..],
            &["--upload-file", &upload, "--header", "Transfer-Encoding: chunked"],
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("put/{lane:?}-{n}");
            curl(&weir, &format!("/{name}"), &[arguments, &["--fail"]].concat());
            assert_eq!(file(&nginx, &name), large, "{name}");
        }
        assert_eq!(text("/none", &["--output", "/dev/null", "--write-out", "%{http_code}"]), "404");
    }
}

#[test]
fn wrk_sees_no_error() {
    if !installed(&["nginx", "wrk"]) {
        return;
    }
    let nginx = nginx();
    for lane in LANES {
        let weir = lane.start(&ingress("web", "", nginx.address, &[]), &[]);
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "-d2s"])
            .arg(format!("http://{}/1k", weir.http))
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        let rate = report.lines().find(|line| line.starts_with("Requests/sec"));
        println!("{lane:?}: {}", rate.unwrap_or_default());
        assert!(rate.is_some_and(|rate| !rate.trim_end().ends_with(" 0.00")), "{lane:?}: {report}");
        assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{lane:?}: {report}");
    }
}
