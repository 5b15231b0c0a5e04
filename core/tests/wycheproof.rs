//! The primitives that membership is built on, in the versions that are built in, against the vectors of Project Wycheproof.

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wycheproof::{TestResult, aead, hkdf as derivation, mac};

#[test]
fn xchacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap();
    let mut tested = 0;
    for group in set.test_groups {
        for test in group.tests {
            // Other lengths are not to be expressed with this type.
            let Ok(nonce) = <[u8; 24]>::try_from(&test.nonce[..]) else {
                assert_eq!(test.result, TestResult::Invalid, "test {}", test.tc_id);
                continue;
            };
            let cipher = XChaCha20Poly1305::new_from_slice(&test.key).unwrap();
            let tag = <[u8; 16]>::try_from(&test.tag[..]).unwrap();
            let mut opened = test.ct.to_vec();
            let result = cipher.decrypt_in_place_detached(&nonce.into(), &test.aad, &mut opened, &tag.into());
            match test.result {
                TestResult::Invalid => assert!(result.is_err(), "test {}", test.tc_id),
                _ => {
                    assert!(result.is_ok() && opened == test.pt[..], "test {}", test.tc_id);
                    let sealed_tag = cipher
                        .encrypt_in_place_detached(&nonce.into(), &test.aad, &mut opened)
                        .unwrap();
                    assert!(opened == test.ct[..] && sealed_tag[..] == tag, "test {}", test.tc_id);
                }
            }
            tested += 1;
        }
    }
    assert!(tested > 250, "{tested} vectors");
}

#[test]
fn hkdf_sha256() {
    let set = derivation::TestSet::load(derivation::TestName::HkdfSha256).unwrap();
    let mut tested = 0;
    for group in set.test_groups {
        for test in group.tests {
            let mut derived = vec![0; test.size];
            let result = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut derived);
            match test.result {
                TestResult::Invalid => assert!(result.is_err(), "test {}", test.tc_id),
                _ => assert!(result.is_ok() && derived == test.okm[..], "test {}", test.tc_id),
            }
            tested += 1;
        }
    }
    assert!(tested > 80, "{tested} vectors");
}

#[test]
fn hmac_sha256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut tested = 0;
    for group in set.test_groups {
        // A tag that was cut is what this crate never takes.
        for test in group.tests.iter().filter(|_| group.tag_size == 256) {
            let mac = Hmac::<Sha256>::new_from_slice(&test.key)
                .unwrap()
                .chain_update(&test.msg);
            let is_right = mac.verify_slice(&test.tag).is_ok();
            assert_eq!(is_right, test.result != TestResult::Invalid, "test {}", test.tc_id);
            tested += 1;
        }
    }
    assert!(tested > 80, "{tested} vectors");
}
