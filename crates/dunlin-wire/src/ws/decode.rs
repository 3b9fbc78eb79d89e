//! The receiving side: bytes in, pieces of data messages and control frames out.
//!
//! Invariants: a whole frame in the input allocates nothing unless it is a control frame; the box that holds a message's state
//! goes when the message ends, so an idle connection keeps eight bytes.

use super::close::CloseFrame;
use super::error::WsError;
use super::header::{Header, Opcode, Role, parse_header};
use super::limits::{CONTROL_LEN_MAX, FRAME_HEADER_LEN_MAX, WsLimits};
use super::mask::apply_mask;
use super::utf8::{NotUtf8, Utf8Check};

/// What a data message was declared as. Information only: packets travel in both kinds, because some clients send text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// Checked to be UTF-8, up to the bytes seen.
    Text,
    /// Any bytes.
    Binary,
}

/// The payload of a Ping or Pong: at most 125 bytes, held inline.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    bytes: [u8; CONTROL_LEN_MAX],
    len: u8,
}

impl Control {
    /// A control payload, or `None` when `payload` is longer than 125 bytes.
    #[must_use]
    pub fn new(payload: &[u8]) -> Option<Self> {
        let mut control = Self::default();
        let len = u8::try_from(payload.len()).ok()?;
        control.bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        control.len = len;
        Some(control)
    }

    /// The payload.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Appends what there is room for.
    fn extend(&mut self, payload: &[u8]) {
        let free = self.bytes.iter_mut().skip(usize::from(self.len));
        for (slot, &byte) in free.zip(payload) {
            *slot = byte;
            self.len += 1;
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; CONTROL_LEN_MAX], len: 0 }
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Control").field(&self.as_slice()).finish()
    }
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WsEvent<'a> {
    /// A piece of a data message's payload, unmasked where it lay. Pieces come as the bytes came and are not gathered.
    Data {
        /// What the message was declared as.
        kind: DataKind,
        /// The piece; empty only at the end of a message.
        bytes: &'a [u8],
        /// Whether this piece ends the message.
        is_end: bool,
    },
    /// To be answered with a Pong of the same payload, unless our Close has gone.
    Ping(Control),
    /// The answer to a Ping of ours, or unasked.
    Pong(Control),
    /// The peer sends nothing after this. What follows in the input is discarded.
    Close(Option<CloseFrame>),
}

/// Takes WebSocket messages out of a stream of bytes that comes in pieces of any size.
///
/// One pointer wide, and null between messages.
///
/// ```
/// use dunlin_wire::ws::{DataKind, Role, WsDecoder, WsEvent, WsLimits};
///
/// let mut bytes = *b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let mut input = &mut bytes[..];
/// let mut decoder = WsDecoder::new();
/// while let Some(event) = decoder.decode(&mut input, Role::Server, &WsLimits::DEFAULT)? {
///     assert_eq!(event, WsEvent::Data { kind: DataKind::Binary, bytes: b"Hello", is_end: true });
/// }
/// assert!(decoder.is_idle());
/// # Ok::<(), dunlin_wire::ws::WsError>(())
/// ```
#[derive(Debug, Default)]
pub struct WsDecoder {
    partial: Option<Box<Partial>>,
}

const _: () = assert!(size_of::<WsDecoder>() == size_of::<usize>());

impl WsDecoder {
    /// A decoder at the beginning of a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { partial: None }
    }

    /// Takes the next event from the front of `input` and advances it; `None` when all of it was taken and more must come.
    ///
    /// Limits are checked at a frame's header, before any of its payload. `role` and `limits` must not change over a connection's life.
    ///
    /// # Errors
    ///
    /// [`WsError`] when the peer broke a rule or a limit. The decoder is then spent: whatever is fed to it is discarded.
    #[inline]
    pub fn decode<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        role: Role,
        limits: &WsLimits,
    ) -> Result<Option<WsEvent<'a>>, WsError> {
        if self.partial.is_none()
            && let Some((header, payload)) = take_whole_message(input, role, limits)
        {
            return self.finish_whole(&header, payload).map(Some);
        }
        if input.is_empty() {
            return Ok(None);
        }
        self.decode_in_pieces(input, role, limits)
    }

    /// Whether the stream stands between two messages, where it may end without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.is_between_messages())
    }

    #[inline]
    fn finish_whole<'a>(&mut self, header: &Header, payload: &'a mut [u8]) -> Result<WsEvent<'a>, WsError> {
        if let Some(key) = header.mask {
            apply_mask(payload, key);
        }
        let mut kind = DataKind::Binary;
        if header.opcode == Opcode::Text {
            kind = DataKind::Text;
            if std::str::from_utf8(payload).is_err() {
                self.partial.get_or_insert_default().is_spent = true;
                return Err(WsError::TextNotUtf8);
            }
        }
        Ok(WsEvent::Data { kind, bytes: payload, is_end: true })
    }

    #[cold]
    fn decode_in_pieces<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        role: Role,
        limits: &WsLimits,
    ) -> Result<Option<WsEvent<'a>>, WsError> {
        let partial = self.partial.get_or_insert_default();
        let result = partial.decode(input, role, limits);
        if result.is_err() {
            partial.is_spent = true;
        } else if partial.is_blank() {
            self.partial = None;
        }
        result
    }
}

/// The common case: the input begins with a message of one frame, whole and within its limit. Else nothing is taken, and whatever
/// is wrong is found again on the way for pieces.
#[inline]
fn take_whole_message<'a>(
    input: &mut &'a mut [u8],
    role: Role,
    limits: &WsLimits,
) -> Option<(Header, &'a mut [u8])> {
    let header = parse_header(input, role).ok()??;
    let is_data = matches!(header.opcode, Opcode::Binary | Opcode::Text);
    let payload_len = usize::try_from(header.payload_len).ok()?;
    let is_whole = input.len() - header.len >= payload_len;
    if !is_data || !header.is_fin || !is_whole || header.payload_len > limits.message_len_max {
        return None;
    }
    let _ = take(input, header.len);
    Some((header, take(input, payload_len)))
}

/// Cuts up to `len` bytes off the front of `input`.
#[inline]
fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let all = std::mem::take(input);
    let (front, rest) = all.split_at_mut(len.min(all.len()));
    *input = rest;
    front
}

/// Everything known of a stream that does not stand between two messages.
#[derive(Debug, Default)]
struct Partial {
    /// The beginning of a header whose end has not come.
    header: [u8; FRAME_HEADER_LEN_MAX],
    header_len: u8,
    /// A Close came or a rule was broken: nothing counts any more.
    is_spent: bool,
    /// Pings and Pongs since the last data message ended.
    control_frames: u32,
    frame: Option<Frame>,
    message: Option<Message>,
    /// The payload so far of the control frame in `frame`. Boxed, because control frames in pieces are rare.
    control: Option<Box<Control>>,
}

/// A frame whose payload has not all come.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    is_fin: bool,
    /// Rotated so that it begins at the next byte.
    mask: Option<[u8; 4]>,
    missing_len: u64,
}

/// A data message whose last fragment has not ended.
#[derive(Debug, Clone, Copy)]
struct Message {
    kind: DataKind,
    fragments: u32,
    len: u64,
    utf8: Utf8Check,
}

impl Partial {
    const fn is_between_messages(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Whether it says no more than a fresh one does.
    const fn is_blank(&self) -> bool {
        self.is_between_messages() && self.control_frames == 0 && !self.is_spent
    }

    fn decode<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        role: Role,
        limits: &WsLimits,
    ) -> Result<Option<WsEvent<'a>>, WsError> {
        loop {
            if self.is_spent {
                *input = &mut [];
                return Ok(None);
            }
            let Some(frame) = self.frame else {
                let Some(header) = self.take_header(input, role)? else { return Ok(None) };
                self.begin_frame(&header, limits)?;
                continue;
            };
            if frame.missing_len > 0 && input.is_empty() {
                return Ok(None);
            }
            let bytes = self.take_payload(frame, input);
            let event = if frame.opcode.is_control() {
                self.end_control(frame.opcode, bytes)?
            } else {
                self.end_data(frame.is_fin, bytes)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Takes the bytes of one header from the input, straight if it is whole there, else one by one into `header`.
    fn take_header(&mut self, input: &mut &mut [u8], role: Role) -> Result<Option<Header>, WsError> {
        if self.header_len == 0
            && let Some(header) = parse_header(input, role)?
        {
            let _ = take(input, header.len);
            return Ok(Some(header));
        }
        while let [byte] = *take(input, 1) {
            if let Some(slot) = self.header.get_mut(usize::from(self.header_len)) {
                *slot = byte;
                self.header_len += 1;
            }
            let (header, _) = self.header.split_at(usize::from(self.header_len));
            if let Some(header) = parse_header(header, role)? {
                self.header_len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Checks what depends on the frames before and on the limits.
    fn begin_frame(&mut self, header: &Header, limits: &WsLimits) -> Result<(), WsError> {
        let begun = |kind| Message { kind, fragments: 0, len: 0, utf8: Utf8Check::default() };
        match (header.opcode, &mut self.message) {
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(WsError::StartInsideMessage),
            (Opcode::Text, message) => *message = Some(begun(DataKind::Text)),
            (Opcode::Binary, message) => *message = Some(begun(DataKind::Binary)),
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Continuation, None) => return Err(WsError::ContinuationOutsideMessage),
            (Opcode::Close, _) => {}
            (Opcode::Ping | Opcode::Pong, _) => self.count_control_frame(limits)?,
        }
        if let Some(message) = &mut self.message
            && !header.opcode.is_control()
        {
            message.add_fragment(header.payload_len, limits)?;
        }
        self.frame = Some(Frame {
            opcode: header.opcode,
            is_fin: header.is_fin,
            mask: header.mask,
            missing_len: header.payload_len,
        });
        Ok(())
    }

    const fn count_control_frame(&mut self, limits: &WsLimits) -> Result<(), WsError> {
        let control_frames_max = limits.control_frames_max;
        if self.control_frames >= control_frames_max {
            return Err(WsError::TooManyControlFrames { control_frames_max });
        }
        self.control_frames += 1;
        Ok(())
    }

    /// Takes and unmasks what the input has of the frame's payload, and drops the frame when that is all.
    fn take_payload<'a>(&mut self, mut frame: Frame, input: &mut &'a mut [u8]) -> &'a [u8] {
        let len = usize::try_from(frame.missing_len).unwrap_or(usize::MAX);
        let bytes = take(input, len);
        frame.mask = frame.mask.map(|key| apply_mask(bytes, key));
        frame.missing_len -= bytes.len() as u64;
        self.frame = (frame.missing_len > 0).then_some(frame);
        bytes
    }

    /// A piece of a control frame was taken; `frame` is gone if it was the last.
    fn end_control(&mut self, opcode: Opcode, bytes: &[u8]) -> Result<Option<WsEvent<'static>>, WsError> {
        let control = self.control.get_or_insert_default();
        control.extend(bytes);
        if self.frame.is_some() {
            return Ok(None);
        }
        let control = std::mem::take(&mut self.control).map_or_else(Control::default, |control| *control);
        Ok(Some(match opcode {
            Opcode::Ping => WsEvent::Ping(control),
            Opcode::Pong => WsEvent::Pong(control),
            _ => {
                let close = CloseFrame::parse(control.as_slice())?;
                self.is_spent = true;
                // A message may have been cut off by the Close; nothing of it will follow.
                self.message = None;
                WsEvent::Close(close)
            }
        }))
    }

    /// A piece of a data frame was taken; `frame` is gone if it was the frame's last.
    fn end_data<'a>(&mut self, is_fin: bool, bytes: &'a [u8]) -> Result<Option<WsEvent<'a>>, WsError> {
        // A data frame is only begun inside a message.
        let Some(message) = &mut self.message else { return Ok(None) };
        let kind = message.kind;
        let is_end = is_fin && self.frame.is_none();
        if kind == DataKind::Text {
            message.utf8.push(bytes).map_err(|NotUtf8| WsError::TextNotUtf8)?;
            if is_end && !message.utf8.is_complete() {
                return Err(WsError::TextNotUtf8);
            }
        }
        if is_end {
            self.message = None;
            self.control_frames = 0;
        }
        let is_worth_telling = is_end || !bytes.is_empty();
        Ok(is_worth_telling.then_some(WsEvent::Data { kind, bytes, is_end }))
    }
}

impl Message {
    fn add_fragment(&mut self, payload_len: u64, limits: &WsLimits) -> Result<(), WsError> {
        let fragments_max = limits.fragments_max;
        if self.fragments >= fragments_max {
            return Err(WsError::TooManyFragments { fragments_max });
        }
        self.fragments += 1;
        let message_len = self.len.saturating_add(payload_len);
        if message_len > limits.message_len_max {
            let message_len_max = limits.message_len_max;
            return Err(WsError::MessageTooLong { message_len, message_len_max });
        }
        self.len = message_len;
        Ok(())
    }
}
