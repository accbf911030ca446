//! An emulator of AWS with network interfaces, instances and tags in memory, as far as the tests
//! need it. It records the requests that it receives.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request: its first line, its headers in lower case, and its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let text = self.text();
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next()?;
        Some(value.replace("%3A", ":").replace("%2F", "/"))
    }

    /// The values of a list of parameters.
    fn parameters(&self, list: &str) -> Vec<String> {
        (1..).map_while(|n| self.parameter(&format!("{list}.{n}"))).collect()
    }
}

/// What the emulator has.
#[derive(Default)]
pub(crate) struct Resources {
    /// The address and the instance of each interface.
    pub(crate) interfaces: BTreeMap<String, (String, Option<String>)>,
    /// The only region with interfaces; all regions have them if absent.
    pub(crate) region: Option<String>,
    /// Whether the interfaces of terminated instances stay, as in moto.
    pub(crate) keeps_interfaces: bool,
    pub(crate) terminated: Vec<String>,
    /// The tags of each resource.
    pub(crate) tags: Vec<(String, String, String)>,
    /// The maximum number of results of a page, if it is smaller than MaxResults.
    pub(crate) page_len: Option<usize>,
    /// The members of the only target group.
    pub(crate) members: Vec<String>,
}

/// The emulator. It ends when it is dropped.
pub(crate) struct Emulator {
    pub(crate) address: SocketAddr,
    pub(crate) resources: Arc<Mutex<Resources>>,
    received: Arc<Mutex<Vec<Received>>>,
    is_ending: Arc<AtomicBool>,
}

impl Emulator {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let emulator = Self {
            address: listener.local_addr().unwrap(),
            resources: Arc::default(),
            received: Arc::default(),
            is_ending: Arc::default(),
        };
        let (resources, received) = (emulator.resources.clone(), emulator.received.clone());
        let is_ending = emulator.is_ending.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_ending.load(Ordering::Relaxed) {
                    return;
                }
                let _ = answer(&mut stream.unwrap(), &resources, &received);
            }
        });
        emulator
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn add_interface(&self, id: &str, address: &str, instance: Option<&str>) {
        let mut resources = self.resources.lock().unwrap();
        let instance = instance.map(str::to_owned);
        resources.interfaces.insert(id.to_owned(), (address.to_owned(), instance));
    }

    /// The received requests with this text in the first line or the body.
    pub(crate) fn received(&self, part: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        let matching =
            received.iter().filter(|one| one.line.contains(part) || one.text().contains(part));
        matching.cloned().collect()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(
    stream: &mut TcpStream,
    resources: &Mutex<Resources>,
    received: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    let request = read(stream)?;
    let (status, headers, body) = respond(&request, &mut resources.lock().unwrap());
    received.lock().unwrap().push(request);
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn read(stream: &mut TcpStream) -> std::io::Result<Received> {
    let mut reader = BufReader::new(stream);
    let mut request = Received::default();
    reader.read_line(&mut request.line)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let len = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    request.body = vec![0; len];
    reader.read_exact(&mut request.body)?;
    Ok(request)
}

fn respond(request: &Received, resources: &mut Resources) -> (u16, String, String) {
    let xml = |content: String| {
        let text =
            format!("<?xml version=\"1.0\"?>\n<Response xmlns=\"urn:x\">{content}</Response>");
        (200, "content-type: text/xml\r\n".to_owned(), text)
    };
    match request.parameter("Action").as_deref() {
        Some("GetCallerIdentity") => {
            let account = "<Account>123456789012</Account>";
            xml(format!("<GetCallerIdentityResult>{account}</GetCallerIdentityResult>"))
        }
        Some("DescribeNetworkInterfaces") => xml(interfaces(request, resources)),
        Some("DescribeInstances") => xml(instances(request, resources)),
        Some("TerminateInstances") => {
            let id = request.parameter("InstanceId.1").unwrap();
            if !resources.keeps_interfaces {
                resources.interfaces.retain(|_, (_, of)| of.as_ref() != Some(&id));
            }
            resources.terminated.push(id);
            xml(String::new())
        }
        Some("CreateTags") => create_tags(request, resources),
        Some("DescribeTags") => xml(tags(request, resources)),
        Some("DescribeListeners") => xml(
            "<Listeners><member><Port>4789</Port><Protocol>UDP</Protocol><DefaultActions><member>\
             <TargetGroupArn>arn:tg</TargetGroupArn></member></DefaultActions></member></Listeners>"
                .to_owned(),
        ),
        Some("DescribeTargetHealth") => {
            let members = resources.members.iter().map(|id| {
                format!("<member><Target><Id>{id}</Id><Port>4789</Port></Target></member>")
            });
            let members: String = members.collect();
            xml(format!("<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"))
        }
        Some(_) => xml("<return>true</return>".to_owned()),
        None => {
            let headers =
                "etag: \"abc\"\r\nkeep-alive: timeout=9\r\nx-amz-meta-a: 1\r\n".to_owned();
            let status = if request.line.contains("/missing") { 404 } else { 200 };
            let body = match request.line.contains("/too-long") {
                true => "x".repeat((64 << 20) + 1),
                false => format!("of {}", request.line.trim_end()),
            };
            (status, headers, body)
        }
    }
}

fn interfaces(request: &Received, resources: &Resources) -> String {
    let mut ids = request.parameters("NetworkInterfaceId");
    if request.parameter("Filter.1.Name").as_deref() == Some("network-interface-id") {
        ids.extend(request.parameters("Filter.1.Value"));
    }
    let authorization = request.header("authorization").unwrap_or_default();
    let is_in = |region: &String| authorization.contains(&format!("/{region}/"));
    let has_interfaces = resources.region.as_ref().is_none_or(is_in);
    let selected: Vec<String> = resources
        .interfaces
        .iter()
        .filter(|(id, _)| has_interfaces && (ids.is_empty() || ids.contains(id)))
        .map(|(id, (address, instance))| {
            let attachment = instance.as_ref().map_or(String::new(), |instance| {
                format!(
                    "<attachment><deviceIndex>0</deviceIndex><instanceId>{instance}</instanceId>\
                     </attachment>"
                )
            });
            format!(
                "<item>{attachment}<networkInterfaceId>{id}</networkInterfaceId>\
                 <macAddress>02:00:00:00:00:09</macAddress>\
                 <privateIpAddress>{address}</privateIpAddress><tagSet>{}</tagSet></item>",
                tags_of(id, resources)
            )
        })
        .collect();
    page(request, resources, "networkInterfaceSet", &selected)
}

fn tags_of(id: &str, resources: &Resources) -> String {
    let tags = resources.tags.iter().filter(|(of, ..)| of == id);
    let tags =
        tags.map(|(_, key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"));
    tags.collect()
}

fn instances(request: &Received, resources: &Resources) -> String {
    let ids = request.parameters("Filter.1.Value");
    let instances = ids.iter().map(|id| {
        let state = if resources.terminated.contains(id) { "terminated" } else { "running" };
        let of_it = resources.interfaces.values().find(|(_, of)| of.as_ref() == Some(id));
        let address = of_it.map_or("", |(address, _)| address);
        format!(
            "<item><instancesSet><item><instanceId>{id}</instanceId>\
             <instanceState><name>{state}</name></instanceState>\
             <privateIpAddress>{address}</privateIpAddress></item></instancesSet></item>"
        )
    });
    format!("<reservationSet>{}</reservationSet>", instances.collect::<String>())
}

fn create_tags(request: &Received, resources: &mut Resources) -> (u16, String, String) {
    let key = request.parameter("Tag.1.Key").unwrap();
    let value = request.parameter("Tag.1.Value").unwrap_or_default();
    let ids = request.parameters("ResourceId");
    if let Some(unknown) = ids.iter().find(|id| id.contains("unknown")) {
        let error =
            format!("<Code>InvalidID</Code><Message>The ID '{unknown}' is not valid</Message>");
        let text = format!("<Response><Errors><Error>{error}</Error></Errors></Response>");
        return (400, String::new(), text);
    }
    resources.tags.extend(ids.into_iter().map(|id| (id, key.clone(), value.clone())));
    (200, String::new(), "<Response><return>true</return></Response>".to_owned())
}

fn tags(request: &Received, resources: &Resources) -> String {
    let items: Vec<String> = resources
        .tags
        .iter()
        .map(|(id, key, value)| {
            format!(
                "<item><resourceId>{id}</resourceId><resourceType>instance</resourceType>\
                 <key>{key}</key><value>{value}</value></item>"
            )
        })
        .collect();
    page(request, resources, "tagSet", &items)
}

/// A page of a list. Its token is the number of items before the next one.
fn page(request: &Received, resources: &Resources, name: &str, items: &[String]) -> String {
    let max_results = request.parameter("MaxResults").map(|text| text.parse().unwrap());
    let len = resources.page_len.or(max_results).unwrap_or(usize::MAX);
    let begin = request.parameter("NextToken").map_or(0, |text| text.parse().unwrap());
    let end = items.len().min(usize::saturating_add(begin, len));
    let token =
        if end < items.len() { format!("<nextToken>{end}</nextToken>") } else { String::new() };
    format!("<{name}>{}</{name}>{token}", items[begin..end].concat())
}
