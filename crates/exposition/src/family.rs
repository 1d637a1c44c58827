//! The families of a text: each stands in one block, and every name belongs to one of them. What the numbers of a
//! label set must be is the matter of [`Metric`].

use std::collections::BTreeMap;

use crate::{
    Form, Sample,
    fault::{Fault, Place},
    kind::{Kind, Role},
    lexer::Labels,
    line::{About, Reading},
    metric::{Metric, Part},
};

/// The families that were read, and the one that is being read.
pub(crate) struct Families<'a> {
    form: Form,
    current: Option<Family<'a>>,
    /// For every name of a sample that a family may have: the family.
    owners: BTreeMap<String, &'a str>,
    samples: Vec<Sample>,
}

struct Family<'a> {
    name: &'a str,
    kind: Kind,
    /// Of the lines about it.
    keywords: Vec<&'a str>,
    metrics: BTreeMap<Labels, Metric<'a>>,
}

impl<'a> Families<'a> {
    pub(crate) fn new(form: Form) -> Self {
        Self {
            form,
            current: None,
            owners: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    /// Takes a line about a family.
    pub(crate) fn announce(&mut self, place: Place<'a>, about: &About<'a>) -> Result<(), Fault<'a>> {
        let family = self.enter(place, about.family)?;
        let keyword = about.keyword;
        if !family.metrics.is_empty() {
            return Err(place.fault("it comes after samples of its family"));
        }
        if family.keywords.contains(&keyword) {
            return Err(place.fault(format!("a second `# {keyword}` of its family")));
        }
        family.keywords.push(keyword);
        if let Some(kind) = about.kind {
            family.kind = kind;
            for (ending, _) in kind.endings(self.form) {
                self.own(place, format!("{}{ending}", about.family), about.family)?;
            }
        }
        Ok(())
    }

    /// Takes a sample. One of no family that was announced is a family of its own.
    pub(crate) fn add(&mut self, place: Place<'a>, mut reading: Reading<'a>) -> Result<(), Fault<'a>> {
        let (form, name) = (self.form, reading.name);
        let family = match &self.current {
            Some(current) if current.kind.role(form, current.name, name).is_some() => current.name,
            Some(current) => match current.kind.misnamed(form, current.name, name) {
                Some(reason) => return Err(place.fault(reason)),
                None => name,
            },
            None => name,
        };
        self.enter(place, family)?
            .add(place, form, &mut reading)
            .map_err(|reason| place.fault(reason))
    }

    /// Makes a family the current one.
    fn enter(&mut self, place: Place<'a>, name: &'a str) -> Result<&mut Family<'a>, Fault<'a>> {
        let family = match self.current.take() {
            Some(current) if current.name == name => current,
            earlier => {
                if let Some(earlier) = earlier {
                    earlier.finish(&mut self.samples)?;
                }
                self.own(place, name.to_owned(), name)?;
                Family {
                    name,
                    kind: Kind::Unknown,
                    keywords: Vec::new(),
                    metrics: BTreeMap::new(),
                }
            }
        };
        Ok(self.current.insert(family))
    }

    /// Gives a name to a family, unless another has it, or it is the name of a family that ended.
    fn own(&mut self, place: Place<'a>, name: String, family: &'a str) -> Result<(), Fault<'a>> {
        let is_current = self
            .current
            .as_ref()
            .is_some_and(|current| current.name == family);
        match self.owners.get(&name) {
            Some(owner) if !is_current || *owner != family => Err(place.fault(format!(
                "the name `{name}` belongs to the family `{owner}`, which ended before this line"
            ))),
            _ => {
                self.owners.insert(name, family);
                Ok(())
            }
        }
    }

    /// The samples of all families.
    pub(crate) fn into_samples(mut self) -> Result<Vec<Sample>, Fault<'a>> {
        if let Some(last) = self.current {
            last.finish(&mut self.samples)?;
        }
        Ok(self.samples)
    }
}

impl<'a> Family<'a> {
    fn add(&mut self, place: Place<'a>, form: Form, reading: &mut Reading<'a>) -> Result<(), String> {
        let Some(role) = self.kind.role(form, self.name, reading.name) else {
            return Err(format!("it is no sample of the family `{}`", self.name));
        };
        let is_counted = role == Role::Bucket || (role == Role::Value && self.kind == Kind::Counter);
        if reading.exemplar.is_some() && !is_counted {
            return Err("only buckets and counts have exemplars".to_owned());
        }
        if self.kind == Kind::StateSet && !reading.labels.contains_key(self.name) {
            return Err(format!("a state is named by a label `{}`", self.name));
        }
        let mut labels = std::mem::take(&mut reading.labels);
        let part = Part::of(role, &mut labels)?;
        part.check(self.kind, reading.value)?;
        if let Some(value) = reading.exemplar {
            part.check_exemplar(value)?;
        }
        self.metrics.entry(labels).or_default().add(place, part, reading)
    }

    fn finish(self, samples: &mut Vec<Sample>) -> Result<(), Fault<'a>> {
        for (labels, metric) in self.metrics {
            metric.check(self.kind)?;
            samples.extend(metric.into_samples(labels));
        }
        Ok(())
    }
}
