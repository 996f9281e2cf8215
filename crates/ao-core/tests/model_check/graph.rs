//! A walk that came to its end, as a graph: what can be reached from everywhere, and what nothing
//! can stay in for ever.

use std::collections::VecDeque;

/// Marks of a state or of a transition, one bit each.
pub(super) type Marks = u32;

/// One transition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) marks: Marks,
}

/// Every state and every transition that a walk found.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The marks of each state.
    pub(super) nodes: Vec<Marks>,
    pub(super) edges: Vec<Edge>,
}

/// Where the edges of each state begin and end in a list that is sorted by state.
struct Adjacent {
    starts: Vec<usize>,
    targets: Vec<u32>,
}

impl Adjacent {
    fn of(n_nodes: usize, edges: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0_usize; n_nodes + 1];
        for (at, _) in edges.clone() {
            starts[index(at) + 1] += 1;
        }
        for n in 0..n_nodes {
            starts[n + 1] += starts[n];
        }
        let mut free = starts.clone();
        let mut targets = vec![0; starts[n_nodes]];
        for (at, target) in edges {
            targets[free[index(at)]] = target;
            free[index(at)] += 1;
        }
        Self { starts, targets }
    }

    fn at(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[index(node)]..self.starts[index(node) + 1]]
    }
}

fn index(node: u32) -> usize {
    usize::try_from(node).unwrap()
}

impl Graph {
    /// A state from which no path of transitions with one of these marks leads to a goal.
    ///
    /// It goes backwards from every goal, so a path is found however long it is.
    pub(super) fn stranded(&self, by: Marks, is_goal: impl Fn(Marks) -> bool) -> Option<u32> {
        let allowed = self.edges.iter().filter(|edge| edge.marks & by != 0);
        let backwards = Adjacent::of(self.nodes.len(), allowed.map(|edge| (edge.to, edge.from)));
        let mut is_reached: Vec<bool> = self.nodes.iter().map(|&marks| is_goal(marks)).collect();
        let goals = (0_u32..).zip(&is_reached).filter(|(_, is_goal)| **is_goal);
        let mut open: VecDeque<u32> = goals.map(|(node, _)| node).collect();
        assert!(!open.is_empty(), "no state of the walk is a goal: the question says nothing");
        while let Some(node) = open.pop_front() {
            for &before in backwards.at(node) {
                if !std::mem::replace(&mut is_reached[index(before)], true) {
                    open.push_back(before);
                }
            }
        }
        is_reached.iter().position(|reached| !reached).map(|node| u32::try_from(node).unwrap())
    }

    /// A state of a cycle that stays within some states for ever, though transitions with each of
    /// these marks happen in it again and again: what is fair does not end it.
    pub(super) fn trap(&self, is_inside: impl Fn(Marks) -> bool, fair: [Marks; 2]) -> Option<u32> {
        let is_inner = |edge: &&Edge| {
            is_inside(self.nodes[index(edge.from)]) && is_inside(self.nodes[index(edge.to)])
        };
        let inner = self.edges.iter().filter(is_inner);
        let forwards =
            Adjacent::of(self.nodes.len(), inner.clone().map(|edge| (edge.from, edge.to)));
        let component = components(self.nodes.len(), &forwards);
        let mut seen: Vec<Marks> = vec![0; self.nodes.len()];
        for edge in inner {
            let home = component[index(edge.from)];
            if home == component[index(edge.to)] {
                seen[index(home)] |= edge.marks;
            }
        }
        let is_trap = |home: &u32| fair.iter().all(|mark| seen[index(*home)] & mark != 0);
        component.iter().position(is_trap).map(|node| u32::try_from(node).unwrap())
    }
}

/// The strongly connected component of each node, named after one of its nodes (Tarjan's way,
/// without recursion).
fn components(n_nodes: usize, forwards: &Adjacent) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut order = vec![UNSEEN; n_nodes];
    let mut low = vec![0_u32; n_nodes];
    let mut component = vec![UNSEEN; n_nodes];
    let mut on_path: Vec<u32> = Vec::new();
    let mut n_seen = 0_u32;
    for root in 0..u32::try_from(n_nodes).unwrap() {
        if order[index(root)] != UNSEEN {
            continue;
        }
        let mut calls: Vec<(u32, usize)> = vec![(root, 0)];
        while let Some((node, next)) = calls.pop() {
            if next == 0 {
                order[index(node)] = n_seen;
                low[index(node)] = n_seen;
                n_seen += 1;
                on_path.push(node);
            } else {
                // Back from the successor before.
                let done = forwards.at(node)[next - 1];
                if component[index(done)] == UNSEEN {
                    low[index(node)] = low[index(node)].min(low[index(done)]);
                }
            }
            if let Some(&successor) = forwards.at(node).get(next) {
                calls.push((node, next + 1));
                if order[index(successor)] == UNSEEN {
                    calls.push((successor, 0));
                } else if component[index(successor)] == UNSEEN {
                    // It is counted again on the way back, to no other effect.
                    low[index(node)] = low[index(node)].min(order[index(successor)]);
                }
                continue;
            }
            if low[index(node)] == order[index(node)] {
                while let Some(member) = on_path.pop() {
                    component[index(member)] = node;
                    if member == node {
                        break;
                    }
                }
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(n_nodes: usize, edges: &[(u32, u32, Marks)]) -> Graph {
        let edges = edges.iter().map(|&(from, to, marks)| Edge { from, to, marks }).collect();
        Graph { nodes: (0..n_nodes).map(|n| 1 << n).collect(), edges }
    }

    #[test]
    fn a_state_is_stranded_unless_the_allowed_transitions_lead_to_a_goal() {
        let graph = graph(4, &[(0, 1, 1), (1, 2, 2), (3, 3, 3)]);
        assert_eq!(graph.stranded(3, |marks| marks == 0b100), Some(3));
        assert_eq!(graph.stranded(2, |marks| marks == 0b100 || marks == 0b1000), Some(0));
        assert_eq!(graph.stranded(3, |marks| marks >= 0b100), None);
    }

    #[test]
    fn a_cycle_is_a_trap_when_everything_fair_happens_in_it() {
        let within = |marks: Marks| marks != 0b1000;
        let round = graph(4, &[(0, 1, 1), (1, 2, 2), (2, 1, 1), (2, 3, 4)]);
        assert!(round.trap(within, [1, 2]).is_some());
        assert_eq!(round.trap(within, [1, 4]), None, "what is fair leads out");
        assert_eq!(round.trap(|marks| marks == 0b10, [1, 2]), None, "the cycle leaves the inside");
        let alone = graph(1, &[(0, 0, 3)]);
        assert_eq!(alone.trap(within, [1, 2]), Some(0));
        let line = graph(3, &[(0, 1, 3), (1, 2, 3)]);
        assert_eq!(line.trap(within, [1, 2]), None);
    }
}
