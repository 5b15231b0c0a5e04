//! The beginning of a link: each side proves to the other that it is a member, before anything is said of the store.
//!
//! ```text
//! on each side's stream: its challenge, its proof once it has the other's challenge, then frames
//! ```

use gossipstore_core::membership::{CHALLENGE_BYTES, PROOF_BYTES, Prover, Side};
use libp2p::PeerId;

/// A random challenge, drawn for one connection.
pub(crate) type Challenge = [u8; CHALLENGE_BYTES];

/// What this side knows of the two.
#[derive(Debug)]
pub(crate) struct Handshake {
    prover: Prover,
    us: Vec<u8>,
    them: Vec<u8>,
    ours: Challenge,
    theirs: Option<Challenge>,
}

/// What a frame of the other side leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// This is to be sent.
    Prove([u8; PROOF_BYTES]),
    /// The other side is a member.
    Proven,
}

/// The other side did not prove to be a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoMember;

impl Handshake {
    pub(crate) fn new(prover: Prover, us: &PeerId, them: &PeerId, ours: Challenge) -> Self {
        Self {
            prover,
            us: us.to_bytes(),
            them: them.to_bytes(),
            ours,
            theirs: None,
        }
    }

    /// What is sent first.
    pub(crate) fn challenge(&self) -> &Challenge {
        &self.ours
    }

    /// Takes what the other side sent next.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> Result<Step, NoMember> {
        let us = Side {
            peer: &self.us,
            challenge: &self.ours,
        };
        match &self.theirs {
            None => {
                let theirs = Challenge::try_from(frame).map_err(|_| NoMember)?;
                let them = Side {
                    peer: &self.them,
                    challenge: &theirs,
                };
                let proof = self.prover.prove(us, them);
                self.theirs = Some(theirs);
                Ok(Step::Prove(proof))
            }
            Some(theirs) => {
                let them = Side {
                    peer: &self.them,
                    challenge: theirs,
                };
                let is_member = self.prover.verify(them, us, frame);
                is_member.then_some(Step::Proven).ok_or(NoMember)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gossipstore_core::membership::Secret;

    use super::*;

    /// Two who have these secrets.
    fn pair(secrets: [u8; 2]) -> [Handshake; 2] {
        let [ann, ben] = [(); 2].map(|()| PeerId::random());
        let [of_ann, of_ben] = secrets.map(|secret| Secret::new([secret; 32]).prover());
        [
            Handshake::new(of_ann, &ann, &ben, [1; 32]),
            Handshake::new(of_ben, &ben, &ann, [2; 32]),
        ]
    }

    fn prove(handshake: &mut Handshake, challenge: &Challenge) -> [u8; PROOF_BYTES] {
        match handshake.receive(challenge) {
            Ok(Step::Prove(proof)) => proof,
            other => panic!("a challenge leads to {other:?}"),
        }
    }

    #[test]
    fn members_of_a_store_know_each_other_and_nobody_else() {
        for (secrets, expected) in [([1, 1], Ok(Step::Proven)), ([1, 2], Err(NoMember))] {
            let [mut ann, mut ben] = pair(secrets);
            let challenges = [*ann.challenge(), *ben.challenge()];
            let of_ann = prove(&mut ann, &challenges[1]);
            let of_ben = prove(&mut ben, &challenges[0]);
            assert_eq!([ann.receive(&of_ben), ben.receive(&of_ann)], [expected; 2]);
        }
    }

    #[test]
    fn what_is_given_back_proves_nothing() {
        let [mut ann, _] = pair([1, 1]);
        let challenge = *ann.challenge();
        let proof = prove(&mut ann, &challenge);
        assert_eq!(ann.receive(&proof), Err(NoMember));
    }

    #[test]
    fn what_is_no_challenge_or_no_proof_is_refused() {
        for length in [0, 31, 33] {
            let [mut ann, _] = pair([1, 1]);
            assert_eq!(ann.receive(&vec![3; length]), Err(NoMember));
            prove(&mut ann, &[2; 32]);
            assert_eq!(ann.receive(&vec![3; length]), Err(NoMember));
        }
    }
}
