//! Why a handshake did not end in a connection.

use rustls::{Error, PeerIncompatible};
use std::io;

/// Why a handshake did not end in a connection. A closed list, because it is a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It took too long.
    Deadline,
    /// The client closed or reset the connection.
    Closed,
    /// What the client sent is not TLS.
    NotTls,
    /// The client has no TLS version that is served.
    Version,
    /// The client has no cipher suite, group or signature scheme that is served.
    Parameters,
    /// Nobody has the name that the client asked for.
    Name,
    /// The client's certificate is none, or its key is another.
    ClientCertificate,
    /// The client gave up and said so; often because it does not trust our certificate.
    Alert,
    /// The client broke the rules of the protocol.
    Protocol,
    /// This client has begun too many handshakes.
    ClientRate,
    /// All clients together have begun too many handshakes.
    ProcessRate,
    /// Our side cannot.
    Internal,
}

impl Failure {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Deadline,
        Self::Closed,
        Self::NotTls,
        Self::Version,
        Self::Parameters,
        Self::Name,
        Self::ClientCertificate,
        Self::Alert,
        Self::Protocol,
        Self::ClientRate,
        Self::ProcessRate,
        Self::Internal,
    ];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::NotTls => "not-tls",
            Self::Version => "version",
            Self::Parameters => "parameters",
            Self::Name => "name",
            Self::ClientCertificate => "client-certificate",
            Self::Alert => "alert",
            Self::Protocol => "protocol",
            Self::ClientRate => "client-rate",
            Self::ProcessRate => "process-rate",
            Self::Internal => "internal",
        }
    }

    /// Why reading the ClientHello failed.
    pub(super) fn of_hello(error: &io::Error) -> Self {
        match Self::of(error) {
            // The first bytes are not those of a message of TLS.
            Self::Protocol if matches!(rustls_error(error), Some(Error::InvalidMessage(_))) => Self::NotTls,
            other => other,
        }
    }

    /// Why a handshake failed.
    pub(super) fn of(error: &io::Error) -> Self {
        match rustls_error(error) {
            None => Self::Closed,
            Some(Error::AlertReceived(_)) => Self::Alert,
            Some(Error::PeerIncompatible(why)) => match why {
                // A hello without signature algorithms is one from before TLS 1.2, and rustls looks for them first.
                PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::Version,
                _ => Self::Parameters,
            },
            Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => Self::ClientCertificate,
            Some(Error::General(_) | Error::FailedToGetRandomBytes | Error::FailedToGetCurrentTime) => {
                Self::Internal
            }
            Some(_) => Self::Protocol,
        }
    }
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, CertificateError, InvalidMessage};

    #[test]
    fn all_is_in_the_order_of_the_numbers() {
        assert!(Failure::ALL.iter().enumerate().all(|(number, failure)| *failure as usize == number));
    }

    #[test]
    fn each_error_has_its_reason() {
        let of = |error: Error| Failure::of(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(of(Error::AlertReceived(AlertDescription::UnknownCA)), Failure::Alert);
        assert_eq!(of(PeerIncompatible::Tls12NotOffered.into()), Failure::Version);
        assert_eq!(of(PeerIncompatible::NoKxGroupsInCommon.into()), Failure::Parameters);
        assert_eq!(of(CertificateError::BadSignature.into()), Failure::ClientCertificate);
        assert_eq!(of(InvalidMessage::InvalidContentType.into()), Failure::Protocol);
        assert_eq!(Failure::of(&io::ErrorKind::UnexpectedEof.into()), Failure::Closed);
        let first =
            io::Error::new(io::ErrorKind::InvalidData, Error::from(InvalidMessage::InvalidContentType));
        assert_eq!(Failure::of_hello(&first), Failure::NotTls);
    }
}
