//! The examples of RFC 7541, appendix C.

use super::{Decoder, Fields, dynamic, fields, octets, read};

/// One block of an example: its octets, its fields, and the table behind it with its size.
struct Step {
    block: &'static str,
    fields: Fields,
    table: Fields,
    size: usize,
}

fn check(mut decoder: Decoder, steps: &[Step]) {
    for step in steps {
        assert_eq!(read(&mut decoder, &octets(step.block)).unwrap(), step.fields, "{}", step.block);
        assert_eq!(dynamic(&decoder), step.table, "{}", step.block);
        assert_eq!(decoder.table.measures().0, step.size, "{}", step.block);
    }
}

#[test]
fn c_2_fields_of_each_kind() {
    let nothing = || fields(&[]);
    let custom = fields(&[("custom-key", "custom-header")]);
    let steps = [
        Step {
            block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            fields: custom.clone(),
            table: custom,
            size: 55,
        },
        Step {
            block: "040c 2f73 616d 706c 652f 7061 7468",
            fields: fields(&[(":path", "/sample/path")]),
            table: nothing(),
            size: 0,
        },
        Step {
            block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
            fields: fields(&[("password", "secret")]),
            table: nothing(),
            size: 0,
        },
        Step { block: "82", fields: fields(&[(":method", "GET")]), table: nothing(), size: 0 },
    ];
    for step in steps {
        check(Decoder::new(), &[step]);
    }
}

fn requests(blocks: [&'static str; 3]) -> [Step; 3] {
    let host = (":authority", "www.example.com");
    let cache = ("cache-control", "no-cache");
    let custom = ("custom-key", "custom-value");
    let get = (":method", "GET");
    [
        Step {
            block: blocks[0],
            fields: fields(&[get, (":scheme", "http"), (":path", "/"), host]),
            table: fields(&[host]),
            size: 57,
        },
        Step {
            block: blocks[1],
            fields: fields(&[get, (":scheme", "http"), (":path", "/"), host, cache]),
            table: fields(&[cache, host]),
            size: 110,
        },
        Step {
            block: blocks[2],
            fields: fields(&[get, (":scheme", "https"), (":path", "/index.html"), host, custom]),
            table: fields(&[custom, cache, host]),
            size: 164,
        },
    ]
}

#[test]
fn c_3_requests() {
    let steps = requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
    check(Decoder::new(), &steps);
}

#[test]
fn c_4_requests_in_the_huffman_code() {
    let steps = requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
    check(Decoder::new(), &steps);
}

fn responses(blocks: [&'static str; 3]) -> [Step; 3] {
    let found = (":status", "302");
    let moved = (":status", "307");
    let private = ("cache-control", "private");
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let later = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
    let location = ("location", "https://www.example.com");
    let gzip = ("content-encoding", "gzip");
    let cookie = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
    [
        Step {
            block: blocks[0],
            fields: fields(&[found, private, date, location]),
            table: fields(&[location, date, private, found]),
            size: 222,
        },
        Step {
            block: blocks[1],
            fields: fields(&[moved, private, date, location]),
            table: fields(&[moved, location, date, private]),
            size: 222,
        },
        Step {
            block: blocks[2],
            fields: fields(&[(":status", "200"), private, later, location, gzip, cookie]),
            table: fields(&[cookie, gzip, later]),
            size: 215,
        },
    ]
}

/// A decoder whose table has the size that these examples have it from a setting.
fn with_256() -> Decoder {
    let mut decoder = Decoder::new();
    read(&mut decoder, &octets("3f e1 01")).unwrap();
    decoder
}

#[test]
fn c_5_responses() {
    let steps = responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 \
         474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 \
         666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 \
         3630 303b 2076 6572 7369 6f6e 3d31",
    ]);
    check(with_256(), &steps);
}

#[test]
fn c_6_responses_in_the_huffman_code() {
    let steps = responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
         63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
         b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
    check(with_256(), &steps);
}
